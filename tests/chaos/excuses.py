"""What a history's faults excuse: whose runs they may have taken, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from chaos.history import Fault, History, Run, host_of

RECORDED_WITHIN_S = 1.0
"""From a run's end to its record in Redis: milliseconds, or this where a machine is short of
everything. Later, a fault has nothing left to take."""
_RECOVERS_S = 5.0
"""From the end of a bad time to the first word that comes through, or to the end of a replica that
has been away for too long: a beat is due within a second, given up after a sixth of a lease, and
tried again after at most 2 s."""
# Renewals come every second, with a backoff of up to 2 s after a failure: silences that close
# together are one, for whoever has to renew a lease between them.
_NEAR_S = 4.0
_SEEN_TO_S = 6.0
"""From a timeout to the kill of what does not give way: the grace, and what is left is for a slow
machine."""


@dataclass(frozen=True, kw_only=True)
class Hindrance:
    """A time in which what had ended on a host may have stayed unrecorded."""

    since: float
    until: float
    host: str = ""
    """Empty: all of them."""


@dataclass(frozen=True, kw_only=True)
class Excuse:
    """Whose runs, between which moments, may have been lost and done again."""

    fault: str
    since: float
    until: float
    pids: frozenset[int] = frozenset()
    replicas: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    everyone: bool = False
    job: str = ""
    """The job that did it, if one did."""
    stopped: bool = False
    """What it has stopped goes on when it is over."""
    hindrances: tuple[Hindrance, ...] = ()
    """Those that were going on when it came."""

    def covers(self, run: Run, following: Run | None = None) -> bool:
        """Return whether it explains that a run was lost, and followed by another one if any."""
        if run.began > self.until or (following and following.began < self.since):
            return False
        return (self.hits(run.replica, run.pid) and self._had_it(run)) or self._late(following)

    def hits(self, replica: str, pid: int | None) -> bool:
        """Return whether this replica is among its victims."""
        named = replica in self.replicas or pid in self.pids
        return self.everyone or named or host_of(replica) in self.hosts

    def _had_it(self, run: Run) -> bool:
        """Return whether a run was under way, or its outcome not recorded yet, when it came."""
        mine = [each.since for each in self.hindrances if each.host in ("", host_of(run.replica))]
        since = min([self.since, *mine])
        return run.ended is None or run.ended >= since - RECORDED_WITHIN_S

    def _late(self, following: Run | None) -> bool:
        """Return whether it stopped who was given the job first: then the later run is that one's.

        It goes on with what it was given before it learns that this has been done by another.
        """
        if following is None or not self.stopped or following.began > self.until:
            return False
        return self.hits(following.replica, following.pid)


def excuses(history: History, lease: float) -> list[Excuse]:
    """Return what the faults excuse, where a lease lasts so many seconds."""
    bad = list(_hindrances(history.faults))
    taken = [each for fault in history.faults for each in _taken(fault, bad)]
    return [
        *taken,
        *_silences(history.faults, lease, bad),
        *_deaths(history, bad),
        *_killings(history, lease, bad),
        *_bursts(history, bad),
        *_unattended(history, bad),
    ]


def _taken(fault: Fault, bad: list[Hindrance]) -> Iterator[Excuse]:
    """Yield one for all processes that a fault hit, and one for each host."""
    given: dict[str, Any] = {
        "fault": fault.name,
        "since": fault.injected,
        "until": fault.healed,
        "stopped": fault.stopped,
        "hindrances": _then(bad, fault.injected),
    }
    if fault.pids or fault.replicas:
        pids, replicas = frozenset(fault.pids), frozenset(fault.replicas)
        yield Excuse(**given, pids=pids, replicas=replicas)
    if not fault.silence and not fault.hinders:
        for host in fault.hosts:
            yield Excuse(**given, hosts=frozenset({host}))


def _silences(faults: Iterable[Fault], lease: float, bad: list[Hindrance]) -> Iterator[Excuse]:
    """Yield the times in which hosts were away from Redis for too long.

    A replica gives up after two thirds of its lease without a renewal, and its last one may have
    been a second (and a bit) before the fault.
    """
    for host, silent in _by_host(each for each in faults if each.silence):
        began = ended = float("-inf")
        for fault in silent:
            if fault.injected > ended + _NEAR_S:
                began = fault.injected
            ended = max(ended, fault.healed)
            if ended - began > lease * 2 / 3 - 2:
                yield Excuse(
                    fault=fault.name,
                    since=began,
                    until=ended + _RECOVERS_S,
                    hosts=frozenset({host} - {""}),
                    everyone=not host,
                    hindrances=_then(bad, began),
                )


def _deaths(history: History, bad: list[Hindrance]) -> Iterator[Excuse]:
    """Yield the deaths of replicas by their own jobs."""
    for story in history.stories.values():
        if story.rules.deadly:
            for run in story.runs:
                if not run.how:
                    yield Excuse(
                        fault=story.kind,
                        since=run.began,
                        until=run.began,
                        pids=frozenset({run.pid}),
                        replicas=frozenset({run.replica}),
                        job=story.job,
                        hindrances=_then(bad, run.began),
                    )


def _killings(history: History, lease: float, bad: list[Hindrance]) -> Iterator[Excuse]:
    """Yield the deaths of replicas whose job did not give way at its timeout."""
    for story in history.stories.values():
        for run in story.runs if story.rules.stubborn else ():
            yield Excuse(
                fault=story.kind,
                since=run.began,
                # Its agent may stand still for a lease and more before it sees to it.
                until=run.began + 2 * lease + _SEEN_TO_S,
                pids=frozenset({run.pid}),
                replicas=frozenset({run.replica}),
                job=story.job,
                hindrances=_then(bad, run.began),
            )


def _bursts(history: History, bad: list[Hindrance]) -> Iterator[Excuse]:
    """Yield the jobs that have left their replica no memory to go on with."""
    for story in history.stories.values():
        for run in story.runs if story.rules.bursts else ():
            yield Excuse(
                fault=story.kind,
                since=run.began,
                until=(run.ended or run.began) + RECORDED_WITHIN_S,
                pids=frozenset({run.pid}),
                replicas=frozenset({run.replica}),
                job=story.job,
                hindrances=_then(bad, run.began),
            )


def _unattended(history: History, bad: list[Hindrance]) -> Iterator[Excuse]:
    """Yield the stops of agents, for replicas that could not renew their own lease either."""
    blocking = [run for s in history.stories.values() if s.rules.blocks for run in s.runs]
    for fault in history.faults:
        mine = [
            run
            for run in blocking
            if host_of(run.replica) in fault.unattended
            and run.began < fault.healed
            and (run.ended is None or run.ended > fault.injected)
        ]
        if mine:
            yield Excuse(
                fault=fault.name,
                since=fault.injected,
                until=fault.healed,
                pids=frozenset(run.pid for run in mine),
                replicas=frozenset(run.replica for run in mine),
                hindrances=_then(bad, fault.injected),
            )


def _hindrances(faults: Iterable[Fault]) -> Iterator[Hindrance]:
    """Yield the bad times of each host, those that overlap as one."""
    for host, hindering in _by_host(each for each in faults if each.silence or each.hinders):
        began, until = float("inf"), float("-inf")
        for fault in hindering:
            if fault.injected > until:
                if until > began:
                    yield Hindrance(since=began, until=until, host=host)
                began = fault.injected
            until = max(until, fault.healed + _RECOVERS_S)
        yield Hindrance(since=began, until=until, host=host)


def _by_host(faults: Iterable[Fault]) -> Iterator[tuple[str, list[Fault]]]:
    """Yield each host with what concerned it, in order; "" with what concerned all."""
    known = sorted(faults, key=lambda each: each.injected)
    for host in sorted({host for each in known for host in each.hosts} | {""}):
        mine = [each for each in known if not each.hosts or host in each.hosts]
        if mine:
            yield host, mine


def _then(bad: Iterable[Hindrance], moment: float) -> tuple[Hindrance, ...]:
    return tuple(each for each in bad if each.since <= moment <= each.until)
