"""`explain`: why an environment has the replicas it has."""

from __future__ import annotations

import click

from reuse_queue.cli import shapes, tables, words
from reuse_queue.cli.access import Access, json_option, with_access
from reuse_queue.cli.tables import Column
from reuse_queue.cli.waits import waits
from reuse_queue.facts import Decision

_COLUMNS = (
    Column("at"),
    Column("does"),
    Column("want", right=True),
    Column("has", right=True),
    Column("demand", right=True),
    Column("because", folds=True),
)


@click.command(short_help="Say why an environment has the replicas it has.")
@click.argument("env")
@click.option(
    "--count",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="So many decisions.",
)
@json_option
@with_access
def explain(access: Access, *, env: str, count: int, as_json: bool) -> None:
    """Say what an environment waits for now, and why the scaler did what it did.

    Decisions are listed newest first: the replicas it wanted, those it had, and the jobs that
    wanted a slot.
    """
    seen = access.snapshot(env)
    hosts = access.run(access.fleet.hosts())
    decisions = access.run(access.scaling.decisions(env, count))
    waiting = waits(seen, hosts)
    if as_json:
        tables.print_json(
            {
                "environment": env,
                "state": words.standing(seen.environment),
                "waits_for": waiting,
                "decisions": [shapes.decision(each) for each in decisions],
            }
        )
        return
    tables.print_fields(
        [
            ("environment", env),
            ("state", words.standing(seen.environment)),
            ("waits for", "\n".join(waiting)),
        ]
    )
    click.echo()
    tables.print_table(_COLUMNS, [_row(each) for each in decisions], "No decision yet.")


def because(decision: Decision) -> str:
    """Return a decision's reasons in one line."""
    parts = (
        decision.reason,
        decision.unschedulable and f"unschedulable: {decision.unschedulable}",
        decision.degraded and f"degraded: {decision.degraded.strip().splitlines()[-1]}",
    )
    return "; ".join(part for part in parts if part)


def _row(decision: Decision) -> list[str]:
    return [
        decision.at.astimezone().strftime("%m-%d %H:%M:%S") if decision.at else "",
        words.doings(decision),
        str(decision.want),
        str(decision.supply),
        words.count(decision.demand),
        because(decision),
    ]
