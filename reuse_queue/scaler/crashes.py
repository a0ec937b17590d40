"""Crashes: whether a version's replicas die before they are of use. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from reuse_queue.facts import Death, Replica, ReplicaState, Snapshot

HEALTHY_AGE = timedelta(seconds=30)
"""A replica that lives that long after its order, and is ready, has started well."""
ENOUGH = 5
"""Deaths in a row that make an environment DEGRADED."""
_LONGEST_WAIT = timedelta(seconds=300)
# Deaths that far apart do not make a row: the longest wait and the longest start lie between.
_FORGOTTEN_AFTER = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True, slots=True)
class Crashes:
    """Deaths in a row of one version's young replicas, since one of them was healthy."""

    count: int
    last: Death | None = None

    @property
    def wait(self) -> timedelta:
        """How long after the last of them the next start may be: 1, 2, 4 … 300 s."""
        # The exponent is bounded: a row of fifty would be no timedelta any more.
        return min(timedelta(seconds=2 ** min(self.count - 1, 10)), _LONGEST_WAIT)

    @property
    def degraded(self) -> bool:
        """Whether it takes a healthy replica before more than one is started at a time."""
        return self.count >= ENOUGH

    def allowed(self, wanted: int, now: datetime, young: int) -> int:
        """Return how many of the wanted replicas may start now, with so many young ones there."""
        if self.last is not None and now < self.last.at + self.wait:
            return 0
        return min(wanted, max(0, 1 - young)) if self.degraded else wanted


def crashes(seen: Snapshot, version: str, recovered: datetime | None) -> Crashes:
    """Return the young deaths in a row of one version since it had a healthy replica."""
    row = list(_row(seen, version, recovered))
    return Crashes(count=len(row), last=row[0] if row else None)


def healthy(replica: Replica, now: datetime) -> bool:
    """Return whether a replica has started well."""
    return replica.state is ReplicaState.READY and now - replica.ordered_at >= HEALTHY_AGE


def _row(seen: Snapshot, version: str, recovered: datetime | None) -> Iterator[Death]:
    """Yield the newest first."""
    later = seen.at
    for death in seen.deaths:
        # With jobs on board, one of them is to blame: it is counted on the job.
        if death.version != version or death.held or death.by_surroundings:
            continue
        old = death.was_ready and death.age >= HEALTHY_AGE
        before = recovered is not None and death.at <= recovered
        if old or before or later - death.at > _FORGOTTEN_AFTER:
            return
        later = death.at
        yield death
