"""View: a snapshot sorted the way that decisions ask about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from reuse_queue.facts import Replica, ReplicaState, Snapshot
from reuse_queue.scaler.crashes import Crashes, crashes, healthy

_ON_THE_WAY = (ReplicaState.ORDERED, ReplicaState.STARTING)


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One environment's replicas, by what they are good for."""

    seen: Snapshot
    current: str
    """The newest version that a live host offers, or ''."""
    live: tuple[Replica, ...]
    """The supply: ready, or on their way and not overdue."""
    fresh: tuple[Replica, ...]
    """Those of the live ones that need not be replaced."""
    old: tuple[Replica, ...]
    """Those that a newer version is to replace."""
    row: Crashes
    """The current version's deaths."""
    backup: str
    """The newest version before the current one that does start, or ''."""

    @property
    def young(self) -> int:
        """Fresh replicas that have yet to show that they start well."""
        return sum(not healthy(each, self.seen.at) for each in self.fresh)

    @property
    def proven(self) -> tuple[Replica, ...]:
        """Fresh replicas that can take over from old ones."""
        ready = (each for each in self.fresh if each.state is ReplicaState.READY)
        # After a death, being ready is no proof any more.
        return tuple(each for each in ready if not self.row.count or healthy(each, self.seen.at))

    @property
    def sure(self) -> tuple[Replica, ...]:
        """Replicas that may be counted on when it comes to draining others."""
        return (*self.old, *self.proven) if self.old else self.live


def view(seen: Snapshot, recovered: Mapping[str, datetime], start_timeout: timedelta) -> View:
    """Return the view of a snapshot.

    Args:
        seen: the environment as it is.
        recovered: since when the deaths of each version count (Memory.recovered).
        start_timeout: a replica that is not ready after it is no supply.
    """
    versions = seen.environment.versions
    rows = {each: crashes(seen, each, recovered.get(each)) for each in versions}
    current = versions[-1] if versions else ""
    live = tuple(each for each in seen.replicas if _counts(each, seen, start_timeout))
    old = tuple(each for each in live if current and each.version != current)
    earlier = (each for each in reversed(versions[:-1]) if not rows[each].degraded)
    return View(
        seen=seen,
        current=current,
        live=live,
        fresh=tuple(each for each in live if each not in old),
        old=old,
        row=rows.get(current, Crashes(count=0)),
        backup=next(earlier, ""),
    )


def _counts(replica: Replica, seen: Snapshot, start_timeout: timedelta) -> bool:
    if replica.state in _ON_THE_WAY:
        return seen.at - replica.ordered_at <= start_timeout
    return replica.state is ReplicaState.READY
