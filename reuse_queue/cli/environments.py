"""`env`: look at environments, and set what an operator may set."""

from __future__ import annotations

import click

from reuse_queue.cli import shapes, tables, words
from reuse_queue.cli.access import Access, json_option, with_access
from reuse_queue.cli.deaths import dying_whole
from reuse_queue.cli.edge import Commands
from reuse_queue.cli.replicas import replica_table
from reuse_queue.cli.tables import Column
from reuse_queue.facts import Host, Snapshot
from reuse_queue.job import JobStatus

_COLUMNS = (
    Column("environment", cuts=True),
    Column("state"),
    Column("ready", right=True),
    Column("bounds", right=True),
    Column("queued", right=True),
    Column("running", right=True),
    Column("done", right=True),
    Column("failed", right=True),
)


@click.group("env", cls=Commands)
def environments() -> None:
    """Environments: list, show, pause, resume, drain, scale."""


@environments.command("list")
@json_option
@with_access
def list_environments(access: Access, *, as_json: bool) -> None:
    """List all environments with their replicas and jobs."""
    seen = access.snapshots()
    if as_json:
        tables.print_json([shapes.environment(each) for each in seen])
        return
    tables.print_table(
        _COLUMNS,
        [_row(each) for each in seen],
        "No environment yet: `reuse-queue run app:env` or `reuse-queue agent app:env` offers one.",
    )


@environments.command("show")
@click.argument("name")
@json_option
@with_access
def show_environment(access: Access, *, name: str, as_json: bool) -> None:
    """Show everything about one environment: policy, bounds, versions, hosts, replicas, tasks.

    An environment that cannot start replicas is degraded, and the reason is shown with its
    traceback.
    """
    seen = access.snapshot(name)
    hosts = access.run(access.fleet.hosts())
    counts = access.run(access.queue.counts(name))
    if as_json:
        tables.print_json(shapes.environment_whole(seen, hosts, counts))
        return
    tables.print_fields(_fields(seen, hosts, counts))
    if seen.replicas:
        click.echo()
        tables.print_table(*replica_table(seen.replicas, seen.at), empty="")


@environments.command("pause")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@with_access
def pause(access: Access, *, names: tuple[str, ...]) -> None:
    """Let an environment's replicas stay warm and claim no job, until `resume`."""
    for seen in [access.snapshot(name) for name in names]:
        name = seen.environment.name
        access.run(access.scaling.pause(name, paused=True))
        jobs = words.plural(seen.backlog, "job")
        click.echo(f"{name} is paused: its replicas stay and claim nothing; {jobs} queued")


@environments.command("resume")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@with_access
def resume(access: Access, *, names: tuple[str, ...]) -> None:
    """End what `pause` and `drain` began."""
    for seen in [access.snapshot(name) for name in names]:
        record = seen.environment
        access.run(access.scaling.pause(record.name, paused=False))
        access.run(access.scaling.drain_environment(record.name, drained=False))
        was = " and ".join(
            word for word, on in (("paused", record.paused), ("drained", record.drained)) if on
        )
        click.echo(f"{record.name} works again" if was else f"{record.name} was not held back")


@environments.command("drain")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@with_access
def drain(access: Access, *, names: tuple[str, ...]) -> None:
    """Let all replicas of an environment finish and go; its jobs wait until `resume`."""
    for seen in [access.snapshot(name) for name in names]:
        name = seen.environment.name
        access.run(access.scaling.drain_environment(name, drained=True))
        replicas = words.plural(len(seen.replicas), "replica")
        click.echo(f"{name} drains: {replicas} to finish and go; jobs wait until `resume`")


@environments.command("scale")
@click.argument("name")
@click.option("--min", "low", type=click.IntRange(min=0), help="Replicas to keep.")
@click.option("--max", "high", type=click.IntRange(min=1), help="Replicas to have at most.")
@click.option("--reset", is_flag=True, help="Go back to the bounds of the policy.")
@with_access
def scale(access: Access, *, name: str, low: int | None, high: int | None, reset: bool) -> None:
    """Set an environment's bounds in place of its policy's, for as long as it exists.

    A bound that is not given stays as it is in force.
    """
    if reset == (low is not None or high is not None):
        raise click.UsageError("give --min, --max or both, or --reset alone")
    record = access.snapshot(name).environment
    if reset:
        access.run(access.scaling.override(name, None))
        click.echo(f"{name} has the bounds of its policy again")
        return
    bounds = _merged(record.bounds, low, high)
    access.run(access.scaling.override(name, bounds))
    shown = words.bounds(*record.bounds)
    click.echo(f"{name} may have {words.bounds(*bounds)} replicas now (it was {shown})")


def _merged(now: tuple[int, int], low: int | None, high: int | None) -> tuple[int, int]:
    bounds = (now[0] if low is None else low, now[1] if high is None else high)
    if bounds[0] > bounds[1]:
        raise click.UsageError(
            f"--min must be at most --max: that would be {bounds[0]} and {bounds[1]}"
        )
    return bounds


def _row(seen: Snapshot) -> list[str]:
    record = seen.environment
    tally = shapes.tally(seen.replicas)
    coming = tally["ordered"] + tally["starting"]
    return [
        record.name,
        words.standing(record),
        f"{tally['ready']}" + (f"+{coming}" if coming else ""),
        words.bounds(*record.bounds),
        words.count(seen.backlog),
        words.count(seen.claimed),
        words.count(seen.finished_total),
        words.count(seen.failed_total),
    ]


def _fields(
    seen: Snapshot, hosts: list[Host], counts: dict[JobStatus, int]
) -> list[tuple[str, str]]:
    record = seen.environment
    return [
        ("environment", record.name),
        ("state", words.standing(record)),
        ("policy", _policy(seen)),
        ("bounds", _bounds(seen)),
        ("target", record.target or record.module),
        ("serializer", record.serializer),
        ("version", " then ".join(record.versions)),
        ("hosts", "\n".join(_offers(record.name, hosts)) or "none that is alive offers it"),
        ("jobs", ", ".join(f"{number:,} {status}" for status, number in counts.items() if number)),
        ("ever", f"{seen.finished_total:,} finished, {seen.failed_total:,} failed"),
        ("tasks", "\n".join(record.tasks)),
        ("degraded", record.degraded.strip()),
        ("dying", "" if record.degraded else dying_whole(seen)),
        *[(f"on {host}", why.strip()) for host, why in _broken(seen, hosts)],
    ]


def _policy(seen: Snapshot) -> str:
    policy = seen.environment.policy
    if policy is None:
        return "none was announced"
    low, high = policy.min_replicas, policy.max_replicas
    keeps = ", kept warm" if seen.environment.keep_warm else ""
    return (
        f"{words.bounds(low, high)} replicas, concurrency {policy.concurrency}, "
        f"idle_ttl {words.duration(policy.get_idle_ttl())}, "
        f"scaledown_ttl {words.duration(policy.get_scaledown_ttl())}{keeps}"
    )


def _bounds(seen: Snapshot) -> str:
    shown = words.bounds(*seen.environment.bounds)
    return f"{shown}, set by an operator" if seen.environment.override else shown


def _offers(name: str, hosts: list[Host]) -> list[str]:
    return [
        f"{host.name} (version {host.offers[name]}{', stopping' if host.draining else ''})"
        for host in hosts
        if name in host.offers
    ]


def _broken(seen: Snapshot, hosts: list[Host]) -> list[tuple[str, str]]:
    """Return why hosts cannot load it, where the environment's own reason does not say so."""
    record = seen.environment
    found = [(host.name, shapes.breakage(host, record.name, record.target)) for host in hosts]
    return [(name, why) for name, why in found if why and why.strip() not in record.degraded]
