"""Demand: how many replicas the jobs of an environment want, within its bounds. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from reuse_queue.facts import Snapshot
from reuse_queue.policy import ReusePolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """What is asked of an environment while it is ACTIVE."""

    jobs: int
    need: int
    """Replicas that it would take to run all the jobs at once."""
    low: int
    high: int
    concurrency: int
    scaledown_ttl: timedelta

    @classmethod
    def of(cls, seen: Snapshot, policy: ReusePolicy) -> Demand:
        """Return the demand of a snapshot, within the bounds that are in force."""
        low, high = seen.environment.bounds
        return cls(
            jobs=seen.demand,
            need=-(-seen.demand // policy.concurrency),
            low=low,
            high=max(low, high),
            concurrency=policy.concurrency,
            scaledown_ttl=policy.get_scaledown_ttl(),
        )

    @property
    def want(self) -> int:
        """Replicas that the environment should have."""
        return min(max(self.need, self.low), self.high)

    @property
    def surge(self) -> int:
        """Replicas above the most that a change of versions may take."""
        return max(1, min(self.need, self.high))
