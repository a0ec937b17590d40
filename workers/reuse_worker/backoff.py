"""Waits between attempts to reach a Redis that is away."""

from __future__ import annotations

from collections.abc import Iterator

from reuse_queue.jitter import spread

_FIRST_S, _LONGEST_S = 0.05, 2.0


def waits() -> Iterator[float]:
    """Yield seconds to wait, doubling up to 2 s, each with jitter; without an end."""
    wait = _FIRST_S
    while True:
        yield spread(wait)
        wait = min(wait * 2, _LONGEST_S)
