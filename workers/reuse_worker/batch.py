"""How many jobs a replica claims next: a pure decision."""

from __future__ import annotations

from dataclasses import dataclass

from reuse_queue.job import Claim

MOST_AHEAD = 100
MOST_AT_ONCE = 1000
CROWD, LEAST_CROWD = 4, 32
"""Jobs that wait, for each slot and at least, to make a replica crowded."""
_WORTH_S = 0.01
_WORTH_BYTES = 4 * 1024 * 1024
_WEIGHT = 0.1


@dataclass(slots=True)
class Pace:
    """What this replica's jobs were like lately: moving means, None before the first."""

    run_s: float | None = None
    payload_bytes: float = 0.0

    def ran(self, took_s: float, payload_bytes: int) -> None:
        """Take in one more job that ended."""
        if self.run_s is None:
            self.run_s, self.payload_bytes = took_s, payload_bytes
            return
        self.run_s += _WEIGHT * (took_s - self.run_s)
        self.payload_bytes += _WEIGHT * (payload_bytes - self.payload_bytes)

    def stalled(self, for_s: float) -> None:
        """Take in that nothing has ended for so long: forget that jobs were short."""
        self.run_s = max(self.run_s or 0.0, for_s)


def most_away(concurrency: int) -> int:
    """Return how many jobs may wait for others, without a slot, before no more new ones begin."""
    return max(LEAST_CROWD, CROWD * concurrency)


def claim_size(
    *, free: int, ahead: int, concurrency: int, seen: Claim, pace: Pace, away: int = 0
) -> int:
    """Return how many jobs to claim now, 0 for none yet.

    One for each free slot; and under backlog a few milliseconds' worth of work ahead, topped up
    when half of it is used.

    Args:
        free: slots that run nothing.
        ahead: jobs that are claimed and wait for a slot.
        concurrency: all slots.
        seen: what the last claim said about the queue and the fleet.
        pace: what jobs were like lately.
        away: jobs that wait for others: what these enqueue goes before all that could be held.
    """
    target = 0 if away else _worth_ahead(concurrency, seen, pace)
    if free > 0:
        return min(MOST_AT_ONCE, max(free, free + target - ahead))
    return target - ahead if ahead * 2 <= target else 0


def _worth_ahead(concurrency: int, seen: Claim, pace: Pace) -> int:
    """Return how many jobs to hold beyond those that run: none that another replica could run."""
    replicas = max(1, seen.replicas)
    if pace.run_s is None or seen.idle > 0 or seen.backlog <= replicas * concurrency:
        return 0
    worth = _WORTH_S * concurrency / max(pace.run_s, 1e-6)
    affordable = _WORTH_BYTES / max(pace.payload_bytes, 1.0)
    return min(MOST_AHEAD, round(worth), int(affordable), seen.backlog // replicas)
