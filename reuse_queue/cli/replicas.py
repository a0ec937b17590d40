"""`replicas`: look at worker processes, and let one go."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import click

from reuse_queue.cli import shapes, tables, words
from reuse_queue.cli.access import Access, json_option, with_access
from reuse_queue.cli.edge import Commands, ExitCode, Failed
from reuse_queue.cli.tables import Column
from reuse_queue.facts import DrainReason, Replica

_COLUMNS = (
    Column("replica", cuts=True),
    Column("state"),
    Column("holds", right=True),
    Column("done", right=True),
    Column("age", right=True),
    Column("idle", right=True),
    Column("host", cuts=True),
    Column("pid", right=True),
    Column("version", cuts=True),
    Column("drains for", cuts=True),
)


@click.group("replicas", cls=Commands)
def replicas() -> None:
    """Replicas: list, drain."""


@replicas.command("list")
@click.option("--env", "env", metavar="NAME", help="Only those of one environment.")
@json_option
@with_access
def list_replicas(access: Access, *, env: str | None, as_json: bool) -> None:
    """List the replicas that run or are ordered."""
    seen = [access.snapshot(env)] if env else access.snapshots()
    found = [each for one in seen for each in one.replicas]
    if as_json:
        tables.print_json([shapes.replica(each) for each in found])
        return
    now = max((one.at for one in seen), default=None)
    rows = replica_table(found, now)[1] if now else []
    tables.print_table(_COLUMNS, rows, "No replica runs or is ordered.")


@replicas.command("drain")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@with_access
def drain(access: Access, *, names: tuple[str, ...]) -> None:
    """Let a replica finish what it holds and go.

    The scaler starts another one if there is work for it.
    """
    for replica in [access.replica(name) for name in names]:
        if not access.run(
            access.fleet.drain(replica.environment, replica.name, DrainReason.OPERATOR)
        ):
            raise Failed(f"{replica.name} was gone before it could be drained", ExitCode.NOT_FOUND)
        holds = words.plural(replica.held, "job")
        click.echo(f"{replica.name} drains: it finishes {holds} and goes")


def replica_table(
    found: Iterable[Replica], now: datetime
) -> tuple[tuple[Column, ...], list[list[str]]]:
    """Return columns and rows for replicas as they were at a time of Redis's clock."""
    return _COLUMNS, [_row(each, now) for each in found]


def _row(of: Replica, now: datetime) -> list[str]:
    return [
        of.name,
        of.state.value,
        str(of.held),
        words.count(of.jobs_done),
        words.age(of.ready_at or of.ordered_at, now),
        words.age(of.idle_since, now),
        of.host,
        str(of.pid or ""),
        of.version,
        of.drain_reason.value if of.drain_reason else "",
    ]
