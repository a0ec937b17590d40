"""Tenure: whether a lease is known to last, by nothing but the time since it was renewed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

_CLOCK = time.CLOCK_BOOTTIME


def now() -> float:
    """Return seconds of a clock that goes on while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class Tenure:
    """A process that stood still (a paused machine, SIGSTOP) does not know that it has.

    What it was given before may be somebody else's by now: so whoever is about to begin a job
    looks here first, and waits for the next renewal where there is doubt.

    Args:
        lease: how long a renewal lasts.
    """

    def __init__(self, lease: timedelta) -> None:
        self._lease_s = lease.total_seconds()
        self._doubted: list[Callable[[], None]] = []
        self._ends = now() + self._lease_s

    def renewed(self, at: float) -> None:
        """Hear that a renewal was answered that was sent at a time of `now`."""
        self._ends = at + self._lease_s
        doubted, self._doubted = self._doubted, []
        for go_on in doubted:
            go_on()

    def sure(self) -> bool:
        """Return whether the lease cannot have run out yet."""
        return time.clock_gettime(_CLOCK) < self._ends  # not by `now`: this is once for each job

    def once_sure(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` when the next renewal has been answered."""
        self._doubted.append(go_on)
