"""The plain view: lines about what changed, for where no screen can be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from reuse_queue.cli.explain import because
from reuse_queue.cli.seen import Seen
from reuse_queue.cli.words import bounds, clock, count, doings, duration, plural, rate, standing
from reuse_queue.facts import Decision, Replica, ReplicaState, Snapshot

_QUIET = timedelta(seconds=5)


class Ticker:
    """Turns what is seen into lines, each thing once.

    Decisions that do something and replicas' changes are told at once; how many jobs wait, run
    and are done at most every five seconds, and once more when the last one is done. What was
    decided, and who died, before the first call is old news.
    """

    def __init__(self) -> None:
        self._decided: datetime | None = None
        self._replicas: dict[str, Replica] = {}
        self._dead: set[str] | None = None
        self._jobs: dict[str, tuple[int, int, int, int]] = {}
        self._told: dict[str, datetime] = {}
        self._standing: dict[str, str] = {}

    def lines(self, seen: Seen) -> list[str]:
        """Return what is new since the last call."""
        return [
            *self._decisions(seen),
            *self._deaths(seen),
            *self._replica_changes(seen),
            *(line for one in seen.environments for line in self._environment(one, seen)),
        ]

    def _decisions(self, seen: Seen) -> Iterator[str]:
        newest = max((each.at for each in seen.decisions if each.at), default=_BEGIN)
        since = newest if self._decided is None else self._decided
        for each in reversed(seen.decisions):
            tells = each.actions or each.unschedulable or each.degraded
            if tells and each.at and each.at > since:
                yield f"[{clock(each.at)}] {each.environment}: {_decision(each)}"
        self._decided = max(newest, since)

    def _deaths(self, seen: Seen) -> Iterator[str]:
        deaths = {each.replica: each for one in seen.environments for each in reversed(one.deaths)}
        before = deaths.keys() if self._dead is None else self._dead
        for name in [each for each in deaths if each not in before]:
            yield f"[{clock(deaths[name].at)}] {name} died: {deaths[name].cause}"
        self._dead = {*deaths}

    def _replica_changes(self, seen: Seen) -> Iterator[str]:
        now = {each.name: each for one in seen.environments for each in one.replicas}
        for name, each in now.items():
            before = self._replicas.get(name)
            if before is None or before.state is not each.state:
                text = _replica(each, seen.at)
                if text:
                    yield f"[{clock(seen.at)}] {name} {text}"
        for name, before in self._replicas.items():
            if name not in now and name not in (self._dead or ()):
                jobs = plural(before.jobs_done, "job")
                yield f"[{clock(seen.at)}] {name} is gone, after {jobs}"
        self._replicas = now

    def _environment(self, one: Snapshot, seen: Seen) -> Iterator[str]:
        name = one.environment.name
        state = standing(one.environment)
        if self._standing.get(name, state) != state:
            yield f"[{clock(one.at)}] {name} is {state}{_why(one)}"
        self._standing[name] = state
        jobs = (one.backlog, one.claimed, one.finished_total, one.failed_total)
        before = self._jobs.setdefault(name, jobs)
        due = one.at - self._told.get(name, _BEGIN) >= _QUIET
        if jobs != before and (due or not one.demand):
            self._jobs[name], self._told[name] = jobs, one.at
            yield f"[{clock(one.at)}] {name}: {_jobs(one, seen.rates.get(name, 0.0))}"


_BEGIN = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _decision(of: Decision) -> str:
    does = doings(of)
    return f"{does}: {because(of)}" if does else because(of)


def _replica(of: Replica, now: datetime) -> str:
    if of.state is ReplicaState.READY:
        ready = of.ready_at or now
        return f"is ready, {duration(ready - of.ordered_at)} after its order"
    if of.state is ReplicaState.DRAINING:
        return f"drains: {of.drain_reason or 'told to'}"
    return ""


def _jobs(one: Snapshot, per_second: float) -> str:
    ready = sum(each.state is ReplicaState.READY for each in one.replicas)
    failed = f", {count(one.failed_total)} failed" if one.failed_total else ""
    return (
        f"{count(one.backlog)} queued, {count(one.claimed)} running, "
        f"{count(one.finished_total)} done ({rate(per_second)}/s){failed}, "
        f"{ready} of {bounds(*one.environment.bounds)} replicas ready"
    )


def _why(one: Snapshot) -> str:
    why = one.environment.degraded.strip()
    return f": {why.splitlines()[-1]}" if why else ""
