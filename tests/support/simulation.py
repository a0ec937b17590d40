"""A made-up fleet on a virtual clock, driven by the scaler's own decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reuse_queue.facts import (
    Action,
    ActionKind,
    Death,
    Decision,
    DrainReason,
    EnvironmentRecord,
    EnvironmentState,
    Host,
    Replica,
    ReplicaState,
    Snapshot,
)
from reuse_queue.scaler.outlook import Outlook
from support.fleets import at


@dataclass
class Simulation:
    """One environment; `step` lets a second pass and the scaler look.

    Attributes:
        starts_in: seconds from an order to ready.
        dies: says whether a replica of a version dies instead of becoming ready.
    """

    record: EnvironmentRecord
    hosts: list[Host]
    starts_in: int = 2
    dies: Callable[[str], bool] = lambda version: False
    now: int = 0
    queue: list[int] = field(default_factory=list)
    """Seconds that each waiting job takes."""
    replicas: dict[str, Replica] = field(default_factory=dict)
    running: dict[str, list[int]] = field(default_factory=dict)
    """When each job of a replica ends."""
    deaths: list[Death] = field(default_factory=list)
    done: int = 0
    outlook: Outlook = field(default_factory=Outlook)
    history: list[tuple[int, Snapshot, Decision]] = field(default_factory=list)

    def enqueue(self, *seconds: int) -> None:
        self.queue += seconds

    def step(self, count: int = 1) -> Decision:
        """Let seconds pass; return the last decision."""
        for _ in range(count):
            self.now += 1
            self._pass()
            seen = self.seen()
            (decided,) = self.outlook.decide(self.hosts, [seen])
            self.history.append((self.now, seen, decided))
            self._apply(decided)
        return self.history[-1][2]

    def seen(self) -> Snapshot:
        return Snapshot(
            at=at(self.now),
            environment=self.record,
            backlog=len(self.queue),
            claimed=sum(map(len, self.running.values())),
            replicas=tuple(self.replicas.values()),
            deaths=tuple(reversed(self.deaths))[:50],
            finished_total=self.done,
        )

    def count(self, *states: ReplicaState, version: str = "") -> int:
        return sum(
            each.state in (states or ReplicaState) and version in ("", each.version)
            for each in self.replicas.values()
        )

    # ---------------------------------------------------------------------------------------

    def _pass(self) -> None:
        if self.queue and self.record.state is EnvironmentState.DORMANT:
            self.record = replace(
                self.record, state=EnvironmentState.ACTIVE, active_since=at(self.now)
            )
        for replica in list(self.replicas.values()):
            self._live(replica)
        for replica in list(self.replicas.values()):
            if replica.state is ReplicaState.READY:
                self._claim(replica)

    def _live(self, replica: Replica) -> None:
        name, work = replica.name, self.running[replica.name]
        left = [end for end in work if end > self.now]
        self.done += len(work) - len(left)
        self.running[name] = left
        if work and not left:
            replica = replace(replica, idle_since=at(self.now))
        replica = self.replicas[name] = replace(replica, held=len(left))
        age = at(self.now) - replica.ordered_at
        if replica.state is ReplicaState.ORDERED and age >= timedelta(seconds=self.starts_in):
            if self.dies(replica.version):
                self._die(replica, age)
                return
            self.replicas[name] = replace(
                replica,
                state=ReplicaState.READY,
                ready_at=at(self.now),
                idle_since=at(self.now),
            )
        elif replica.state is ReplicaState.DRAINING and not left:
            self._remove(name)

    def _claim(self, replica: Replica) -> None:
        policy = self.record.policy
        assert policy is not None
        work = self.running[replica.name]
        while self.queue and len(work) < policy.concurrency:
            work.append(self.now + self.queue.pop(0))
        if work:
            self.replicas[replica.name] = replace(replica, held=len(work), idle_since=None)

    def _die(self, replica: Replica, age: timedelta) -> None:
        self.deaths.append(
            Death(
                replica=replica.name,
                host=replica.host,
                version=replica.version,
                at=at(self.now),
                cause="exit code 4",
                was_ready=False,
                age=age,
            )
        )
        self._remove(replica.name)

    def _remove(self, name: str) -> None:
        del self.replicas[name], self.running[name]

    def _apply(self, decided: Decision) -> None:
        if decided.state is not self.record.state:
            self.record = replace(self.record, state=decided.state, active_since=at(self.now))
        for action in decided.actions:
            if action.kind is ActionKind.START:
                self._start(action)
            elif action.kind is ActionKind.UNDRAIN:
                self._change(action, ReplicaState.READY, None)
            elif self.replicas[action.replica].state is ReplicaState.ORDERED:
                self._remove(action.replica)
            elif action.force or not self.running[action.replica]:
                self._change(action, ReplicaState.DRAINING, action.reason)

    def _start(self, action: Action) -> None:
        self.running[action.replica] = []
        self.replicas[action.replica] = Replica(
            name=action.replica,
            environment=self.record.name,
            host=action.host,
            version=action.version,
            state=ReplicaState.ORDERED,
            ordered_at=at(self.now),
        )

    def _change(self, action: Action, state: ReplicaState, why: DrainReason | None) -> None:
        self.replicas[action.replica] = replace(
            self.replicas[action.replica], state=state, drain_reason=why
        )
