"""Memory: what the scaler must remember of an environment from look to look. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reuse_queue.facts import Snapshot
from reuse_queue.scaler.crashes import HEALTHY_AGE, healthy


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What one scaler has seen of one environment since it took the lead."""

    since: datetime
    """When it first looked."""
    busy_at: datetime
    """When there were jobs last, were it only waiting ones; before, the first look."""
    ended: int
    """Jobs that had ended by the last look."""
    wants: tuple[tuple[datetime, int], ...] = ()
    """Peaks of the wanted count: (when it was last that high, how high), falling."""

    recovered: Mapping[str, datetime] = field(default_factory=dict)
    """Version → when one of its replicas was old enough to be healthy, the newest such time."""

    def wanting(self, now: datetime, want: int, within: timedelta) -> Memory:
        """Return the memory with one more wanted count, without those older than `within`."""
        kept = [(at, peak) for at, peak in self.wants if peak > want and now - at < within]
        return replace(self, wants=(*kept, (now, want)))

    @property
    def peak(self) -> int:
        """The highest count that was wanted lately."""
        return self.wants[0][1] if self.wants else 0


def observed(seen: Snapshot, memory: Memory | None) -> Memory:
    """Return the memory after one more look."""
    ended = seen.finished_total + seen.failed_total
    if memory is None:
        memory = Memory(since=seen.at, busy_at=seen.at, ended=ended)
    # A job may have come and gone between two looks: its end tells of it.
    busy = seen.backlog > 0 or seen.claimed > 0 or ended != memory.ended
    return replace(
        memory,
        ended=ended,
        busy_at=seen.at if busy else memory.busy_at,
        recovered=_recovered(seen, memory.recovered),
    )


def _recovered(seen: Snapshot, before: Mapping[str, datetime]) -> dict[str, datetime]:
    known = {each: before[each] for each in seen.environment.versions if each in before}
    for replica in seen.replicas:
        if healthy(replica, seen.at):
            grown = replica.ordered_at + HEALTHY_AGE
            known[replica.version] = max(grown, known.get(replica.version, grown))
    return known
