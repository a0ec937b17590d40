"""Outlook: from snapshots to decisions, for all environments that compete for hosts. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reuse_queue.facts import Decision, Host, Replica, Snapshot
from reuse_queue.scaler.apply import decision, ordered
from reuse_queue.scaler.decide import START_TIMEOUT, decide
from reuse_queue.scaler.memory import Memory
from reuse_queue.scaler.place import Placement, place
from reuse_queue.scaler.plan import Plan
from reuse_queue.scaler.words import broken


@dataclass(slots=True)
class Outlook:
    """What one leading scaler knows of all environments.

    Attributes:
        start_timeout: how long a replica may take to be ready and still count as supply.
    """

    start_timeout: timedelta = START_TIMEOUT
    _memories: dict[str, Memory] = field(default_factory=dict)
    _plans: dict[str, Plan] = field(default_factory=dict)
    """What each environment wants that it has not got."""
    _replicas: dict[str, tuple[Replica, ...]] = field(default_factory=dict)

    def survey(self, seen: Sequence[Snapshot]) -> None:
        """Take note of the places that environments take, before the first decision."""
        for each in seen:
            self._replicas.setdefault(each.environment.name, each.replicas)

    def decide(self, hosts: Sequence[Host], seen: Sequence[Snapshot]) -> list[Decision]:
        """Return what to do about some environments, in the order given.

        Those that were looked at earlier, and got less than they wanted, compete for room.
        """
        for each in seen:
            name = each.environment.name
            self._plans[name], self._memories[name] = decide(
                each,
                self._memories.get(name),
                broken=broken(each.environment, hosts),
                start_timeout=self.start_timeout,
            )
            self._replicas[name] = each.replicas
        everyone = (each for replicas in self._replicas.values() for each in replicas)
        placements = place(self._plans.values(), everyone, hosts)
        return [self._settle(each, placements) for each in seen]

    def keep(self, names: Collection[str]) -> None:
        """Forget all environments but these."""
        for name in self._replicas.keys() - set(names):
            del self._replicas[name]
            self._plans.pop(name, None)
            self._memories.pop(name, None)

    def _settle(self, seen: Snapshot, placements: dict[str, Placement]) -> Decision:
        name = seen.environment.name
        plan, placement = self._plans[name], placements.get(name, Placement())
        decided = decision(plan, placement, seen.at)
        # Until the next look the orders take the places that they were given.
        self._replicas[name] = (*seen.replicas, *ordered(decided, seen.at))
        self._plans[name] = replace(
            plan, starts=placement.unplaced, supply=plan.supply + len(placement.starts)
        )
        return decided
