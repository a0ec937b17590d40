"""The ledger's events as histories of jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from chaos.kinds import KINDS, Kind

_TUPLES = ("pids", "replicas", "hosts", "unattended")


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
    why: str = ""
    """The error that it raised."""


@dataclass(kw_only=True)
class Story:
    """One job's history, as the ledger has it."""

    job: str
    kind: str
    accepted: float | None = None
    canceled: float | None = None
    runs: list[Run] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """The errors that its failure callback was called with."""

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
    replicas: tuple[str, ...] = ()
    """The same, by their names, where these are known."""
    hosts: tuple[str, ...] = ()
    """Hosts whose replicas are all among them."""
    stopped: bool = False
    """It stopped them, and let them go on."""
    unattended: tuple[str, ...] = ()
    """Hosts whose agent could renew no lease: that of a replica which a job blocked ran out."""
    silence: bool = False
    """It kept `hosts` (all, where there are none) from Redis: those that were away for too long
    have given up their jobs."""
    hinders: bool = False
    """It left `hosts` (all, where there are none) their way to Redis, but made it a bad one."""


@dataclass(frozen=True, kw_only=True)
class Unsure:
    """An enqueue that may have written jobs of which nobody was told."""

    kind: str
    jobs: int
    """How many, at most."""
    parent: str = ""
    """The job that enqueued them, if one did: it is told when it goes on."""


@dataclass(kw_only=True)
class History:
    """All that the ledger says."""

    stories: dict[str, Story] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unsure: list[Unsure] = field(default_factory=list)

    def pids(self) -> dict[str, int]:
        """Return the process of each replica that ran anything."""
        return {run.replica: run.pid for each in self.stories.values() for run in each.runs}


def told(events: Iterable[dict[str, Any]]) -> History:
    """Return the history that a ledger's events tell."""
    history = History()
    runs: dict[str, Run] = {}
    for event in events:
        facts = dict(event)
        what, at = facts.pop("event"), facts.pop("at")
        if what == "fault":
            facts |= {name: tuple(facts.get(name, ())) for name in _TUPLES}
            history.faults.append(Fault(**facts))
        elif what == "unsure":
            history.unsure.append(Unsure(**facts))
        elif what == "ended":
            run = runs[facts["execution"]]
            run.ended, run.how, run.why = at, facts["how"], facts["why"]
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
    elif what == "told":
        story.told.append(facts["error"])
    else:
        run = Run(
            execution=facts["execution"], pid=facts["pid"], replica=facts["replica"], began=at
        )
        runs[run.execution] = run
        story.runs.append(run)
