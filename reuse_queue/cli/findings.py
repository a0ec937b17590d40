"""What `doctor` makes of the facts; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reuse_queue.broker.doctor import ServerFacts, Standby, refusal
from reuse_queue.cli.deaths import dying
from reuse_queue.cli.names import meant
from reuse_queue.cli.shapes import breakage
from reuse_queue.cli.words import duration, plural
from reuse_queue.facts import FORMAT, Host, Snapshot


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    """Good to know."""
    RISK = "risk"
    """It works, and something could be lost."""
    PROBLEM = "problem"
    """Something does not work: exit code 1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    what: str
    text: str


def findings(
    facts: ServerFacts,
    hosts: Sequence[Host],
    seen: Sequence[Snapshot],
    here: datetime,
    unreadable: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Return what there is to say of a server and the fleet on it.

    Args:
        facts: the server, as `probe` saw it.
        hosts: the live hosts.
        seen: all environments.
        here: this machine's clock at the time of `facts.at`.
        unreadable: environments that could not be read, and why.
    """
    broken = unreadable or {}
    return [
        *_server(facts, here),
        *(Finding(Level.PROBLEM, f"key {key}", why) for key, why in facts.wrong_keys.items()),
        *_fleet(facts, hosts, seen),
        *(Finding(Level.PROBLEM, f"environment {name}", why) for name, why in broken.items()),
        *_queues(facts, [*(each.environment.name for each in seen), *broken]),
    ]


def standby_findings(standbys: Sequence[Standby]) -> list[Finding]:
    """Return what there is to say of the servers that may take the primary's place."""
    return [
        Finding(level, f"standby {each.name}", text)
        for each in standbys
        for level, text in [_standby(each)]
    ]


def _server(facts: ServerFacts, here: datetime) -> Iterator[Finding]:
    reason = refusal(facts)
    name = f"{facts.product} {facts.version}"
    if reason:
        yield Finding(Level.PROBLEM, "server", reason)
    else:
        yield Finding(Level.OK, "server", f"{name}, maxmemory-policy noeviction")
    if facts.role != "master":
        yield Finding(Level.PROBLEM, "role", f"this is a {facts.role}: it cannot be written to")
    yield _persistence(facts)
    yield _memory(facts)
    if facts.cluster:
        yield _cluster(facts)
    offset = here - facts.at
    ahead = "ahead of" if offset.total_seconds() > 0 else "behind"
    shown = f"this machine's is {duration(abs(offset))} {ahead} Redis's (nothing depends on it)"
    yield Finding(Level.NOTE, "clock", shown)


def _standby(standby: Standby) -> tuple[Level, str]:
    facts = standby.facts
    if facts is None:
        return Level.RISK, f"cannot be asked, and may not be able to take over: {standby.trouble}"
    if reason := refusal(facts):
        return Level.PROBLEM, f"must not take over: {reason}"
    if not standby.in_step:
        return Level.RISK, "does not follow the primary now: what is newer would be lost with that"
    kept = _persistence(facts)
    if kept.level is not Level.OK:
        return kept.level, kept.text
    name = f"{facts.product} {facts.version}"
    return Level.OK, f"{name}, maxmemory-policy noeviction, follows the primary"


def _persistence(facts: ServerFacts) -> Finding:
    if facts.append_only:
        return Finding(Level.OK, "persistence", "append-only file")
    saved = (
        f"the last snapshot was written {duration(facts.at - facts.saved_at)} ago"
        if facts.saved_at
        else "no snapshot was written since it started"
    )
    return Finding(
        Level.RISK,
        "persistence",
        f"no append-only file; {saved}: what is newer is lost if the server dies "
        "(CONFIG SET appendonly yes, and in its configuration)",
    )


def _memory(facts: ServerFacts) -> Finding:
    used = f"{facts.used_memory / 2**20:,.0f} MiB used"
    if not facts.max_memory:
        return Finding(Level.OK, "memory", f"{used}, no limit set")
    share = facts.used_memory / facts.max_memory
    text = f"{used} of {facts.max_memory / 2**20:,.0f} MiB ({share:.0%}); at 100% enqueue fails"
    return Finding(Level.RISK if share > 0.8 else Level.OK, "memory", text)  # noqa: PLR2004


def _cluster(facts: ServerFacts) -> Finding:
    if "{" in facts.prefix:
        return Finding(Level.OK, "cluster", f"all keys share the hash tag of {facts.prefix}")
    text = "a cluster: all keys must share one hash tag (set RQ_KEY_PREFIX={rq} everywhere)"
    return Finding(Level.PROBLEM, "cluster", text)


def _fleet(
    facts: ServerFacts, hosts: Sequence[Host], seen: Sequence[Snapshot]
) -> Iterator[Finding]:
    if facts.leader:
        yield Finding(Level.OK, "scaler", "one leads")
    else:
        text = "none runs: nothing starts or stops replicas (`reuse-queue scaler`)"
        yield Finding(Level.PROBLEM, "scaler", text)
    if hosts:
        names = ", ".join(f"{each.name}{' (stopping)' if each.draining else ''}" for each in hosts)
        yield Finding(Level.OK, "hosts", f"{plural(len(hosts), 'host')} alive: {names}")
        for host in hosts:
            if host.format > FORMAT:
                text = "its agent is of a newer release: upgrade the scaler, and this command"
                yield Finding(Level.PROBLEM, f"host {host.name}", text)
    else:
        text = "none is alive: nothing can start replicas (`reuse-queue agent TARGET`)"
        yield Finding(Level.PROBLEM, "hosts", text)
    for each in seen:
        yield from _environment(each, hosts)


def _environment(seen: Snapshot, hosts: Sequence[Host]) -> Iterator[Finding]:
    record = seen.environment
    what = f"environment {record.name}"
    why = record.degraded or next(
        (text for host in hosts if (text := breakage(host, record.name, record.target))), ""
    )
    offered = [host.name for host in hosts if record.name in host.offers]
    if why:
        last = why.strip().splitlines()[-1]
        text = f"degraded: {last} (see `env show {record.name}`)"
        yield Finding(Level.PROBLEM, what, text)
    elif died := dying(seen):
        yield Finding(Level.PROBLEM, what, f"{died} (see `env show {record.name}`)")
    elif not offered:
        text = f"no live host offers it; {plural(seen.backlog, 'job')} queued"
        yield Finding(Level.PROBLEM if seen.backlog else Level.RISK, what, text)
    else:
        held = "drained" if record.drained else "paused" if record.paused else ""
        by = "by an operator"
        if record.suspended and not held:
            held, by = "suspended", "by `rq suspend` (`rq resume` ends that)"
        where = f"on {plural(len(offered), 'host')}"
        if held:
            yield Finding(Level.NOTE, what, f"{held} {by}; offered {where}")
        else:
            yield Finding(Level.OK, what, f"offered {where}, {plural(seen.backlog, 'job')} queued")


def _queues(facts: ServerFacts, known: Sequence[str]) -> Iterator[Finding]:
    for name, length in facts.queues.items():
        if length and name not in known:
            close = meant(name, known)
            hint = f" Is {close[0]!r} meant?" if close else ""
            yield Finding(
                Level.PROBLEM,
                f"queue {name}",
                f"{plural(length, 'job')}, and no environment of that name was announced.{hint}",
            )
