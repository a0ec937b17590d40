"""What `run` shows: environments, replicas and decisions as they are at one moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from reuse_queue.broker.connection import Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.scaling import Scaling
from reuse_queue.facts import Decision, Host, Snapshot

_MOST_ENVIRONMENTS = 20
_WINDOW = timedelta(seconds=5)
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A fleet at one moment."""

    at: datetime
    """Redis's clock."""
    environments: tuple[Snapshot, ...] = ()
    hosts: tuple[Host, ...] = ()
    decisions: tuple[Decision, ...] = ()
    """Of all environments, the newest first."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Jobs that ended in a second, by environment."""


def look(fleet: Fleet, scaling: Scaling, host: str, decisions: int) -> Step[Seen]:
    """Return the fleet now, but for its rates.

    Of a fleet with many environments, only those that `host` offers.
    """
    hosts = yield from fleet.hosts()
    names = yield from fleet.environments()
    if len(names) > _MOST_ENVIRONMENTS:
        names = [n for n in names if any(n in each.offers for each in hosts if each.name == host)]
    snapshots, decided = [], []
    for name in names:
        snapshots.append((yield from scaling.snapshot(name, poke=False)))
        decided += yield from scaling.decisions(name, decisions)
    decided.sort(key=lambda each: each.at or _NEVER, reverse=True)
    return Seen(
        at=max((each.at for each in snapshots), default=datetime.now(UTC)),
        environments=tuple(snapshots),
        hosts=tuple(hosts),
        decisions=tuple(decided[:decisions]),
    )


class Pace:
    """How many jobs end in a second, from totals that are seen now and then."""

    def __init__(self) -> None:
        self._totals: dict[str, deque[tuple[datetime, int]]] = {}

    def rates(self, snapshots: tuple[Snapshot, ...]) -> dict[str, float]:
        """Take in what was seen and return the rates over the last five seconds."""
        return {each.environment.name: self._rate(each) for each in snapshots}

    def _rate(self, seen: Snapshot) -> float:
        kept = self._totals.setdefault(seen.environment.name, deque())
        kept.append((seen.at, seen.finished_total + seen.failed_total))
        while len(kept) > 2 and kept[1][0] <= seen.at - _WINDOW:  # noqa: PLR2004  # first, last
            kept.popleft()
        (since, before), (_, now) = kept[0], kept[-1]
        span = (seen.at - since).total_seconds()
        return max(now - before, 0) / span if span > 0 else 0.0
