"""The ledger's events as histories of jobs, and which second runs the faults excuse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from chaos.kinds import KINDS, Kind

# Renewals come every second, with a backoff of up to 2 s after a failure: silences that close
# together are one, for whoever has to renew a lease between them.
_NEAR_S = 4.0


@dataclass(kw_only=True)
class Run:
    """One execution of a job's code."""

    execution: str
    pid: int
    replica: str
    began: float
    ended: float | None = None
    how: str = ""
    """`returned`, `raised`, `canceled`, or empty where it never came to an end."""


@dataclass(kw_only=True)
class Story:
    """One job's history, as the ledger has it."""

    job: str
    kind: str
    accepted: float | None = None
    canceled: float | None = None
    runs: list[Run] = field(default_factory=list)

    @property
    def rules(self) -> Kind:
        """What its kind says."""
        return KINDS[self.kind]

    @property
    def since(self) -> float:
        """When it is first heard of."""
        heard = [run.began for run in self.runs]
        if self.accepted is not None:
            heard.append(self.accepted)
        return min(heard, default=float("-inf"))


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault that was injected, and healed."""

    name: str
    injected: float
    healed: float
    what: str = ""
    """What it was done to, for people."""
    pids: tuple[int, ...] = ()
    """Replicas that it took the jobs of, or may have."""
    hosts: tuple[str, ...] = ()
    """Hosts whose replicas are all among them."""
    stopped: bool = False
    """It stopped them, and let them go on."""
    silence: bool = False
    """It kept `hosts` (all, where there are none) from Redis: those that were away for too long
    have given up their jobs."""


@dataclass(frozen=True, kw_only=True)
class Excuse:
    """Whose runs, between which moments, may have been lost and done again."""

    fault: str
    since: float
    until: float
    pids: frozenset[int] = frozenset()
    hosts: frozenset[str] = frozenset()
    everyone: bool = False
    job: str = ""
    """The job that did it, if one did."""

    stopped: bool = False
    """What it has stopped goes on when it is over."""

    def covers(self, run: Run, following: Run) -> bool:
        """Return whether it explains that a run was followed by another one."""
        if run.began > self.until or following.began < self.since:
            return False
        # What was stopped may go on with what it was given before: then the later run is its.
        late = self.stopped and following.began <= self.until and self._hit(following)
        return self._hit(run) or late

    def _hit(self, run: Run) -> bool:
        return self.everyone or run.pid in self.pids or host_of(run.replica) in self.hosts


@dataclass(kw_only=True)
class History:
    """All that the ledger says."""

    stories: dict[str, Story] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def excuses(self, lease: float) -> list[Excuse]:
        """Return what the faults excuse, where a lease lasts so many seconds."""
        own = [_taken(fault) for fault in self.faults if fault.pids or not fault.silence]
        return [*own, *_silences(self.faults, lease), *self._deaths()]

    def _deaths(self) -> Iterator[Excuse]:
        """Yield the deaths of replicas by their own jobs."""
        for story in self.stories.values():
            if story.rules.deadly:
                for run in story.runs:
                    if not run.how:
                        yield Excuse(
                            fault=story.kind,
                            since=run.began,
                            until=run.began,
                            pids=frozenset({run.pid}),
                            job=story.job,
                        )


def told(events: Iterable[dict[str, Any]]) -> History:
    """Return the history that a ledger's events tell."""
    history = History()
    runs: dict[str, Run] = {}
    for event in events:
        facts = dict(event)
        what, at = facts.pop("event"), facts.pop("at")
        if what == "fault":
            facts |= {name: tuple(facts.get(name, ())) for name in ("pids", "hosts")}
            history.faults.append(Fault(**facts))
        elif what == "ended":
            run = runs[facts["execution"]]
            run.ended, run.how = at, facts["how"]
        else:
            _take(history, runs, what, at, facts)
    return history


def host_of(replica: str) -> str:
    """Return the host that a replica's name ends with (before its random part)."""
    return replica.split("-")[-2] if replica.count("-") > 1 else ""


def _take(
    history: History, runs: dict[str, Run], what: str, at: float, facts: dict[str, Any]
) -> None:
    job = facts["job"]
    story = history.stories.setdefault(job, Story(job=job, kind=facts.get("kind", "")))
    story.kind = story.kind or facts.get("kind", "")
    if what == "accepted":
        story.accepted = at
    elif what == "canceled":
        story.canceled = at
    else:
        run = Run(
            execution=facts["execution"], pid=facts["pid"], replica=facts["replica"], began=at
        )
        runs[run.execution] = run
        story.runs.append(run)


def _taken(fault: Fault) -> Excuse:
    return Excuse(
        fault=fault.name,
        since=fault.injected,
        until=fault.healed,
        pids=frozenset(fault.pids),
        hosts=frozenset() if fault.silence else frozenset(fault.hosts),
        stopped=fault.stopped,
    )


def _silences(faults: Iterable[Fault], lease: float) -> Iterator[Excuse]:
    """Yield the times in which hosts were away from Redis for too long.

    A replica gives up after two thirds of its lease without a renewal, and its last one may have
    been a second (and a bit) before the fault.
    """
    silent = sorted((each for each in faults if each.silence), key=lambda each: each.injected)
    hosts = {host for each in silent for host in each.hosts} or {""}
    for host in hosts:
        began = ended = float("-inf")
        for fault in [each for each in silent if not each.hosts or host in each.hosts]:
            if fault.injected > ended + _NEAR_S:
                began = fault.injected
            ended = max(ended, fault.healed)
            if ended - began > lease * 2 / 3 - 2:
                yield Excuse(
                    fault=fault.name,
                    since=began,
                    until=ended + lease,
                    hosts=frozenset({host}),
                    everyone=not fault.hosts,
                )
