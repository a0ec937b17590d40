"""What is told of replicas that die before they are of use; pure."""

from __future__ import annotations

from reuse_queue.cli.words import duration, plural
from reuse_queue.facts import Death, ReplicaState, Snapshot
from reuse_queue.scaler.crashes import Crashes, crashes


def dying(seen: Snapshot) -> str:
    """Return that an environment's replicas die young, and why, in one line; or nothing."""
    row = _row(seen)
    return _told(seen, row, row.last) if row.last else ""


def dying_whole(seen: Snapshot) -> str:
    """Return the same with the last one's traceback."""
    row = _row(seen)
    return f"{_told(seen, row, row.last)}\n{row.last.detail}".strip() if row.last else ""


def _row(seen: Snapshot) -> Crashes:
    versions = seen.environment.versions
    if any(each.state is ReplicaState.READY for each in seen.replicas) or not versions:
        return Crashes(count=0)
    return crashes(seen, versions[-1], None)


def _told(seen: Snapshot, row: Crashes, last: Death) -> str:
    since = duration(seen.at - last.at)
    return f"{plural(row.count, 'replica')} died young, the last one {since} ago: {last.cause}"
