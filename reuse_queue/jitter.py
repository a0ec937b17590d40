"""Jitter: waits that do not fall together, however alike the processes are that wait."""

from __future__ import annotations

from random import SystemRandom

# Not the module's generator: that one is the application's, which may have seeded it (then all its
# processes would wait alike) and may count on the numbers that it gives next.
_RANDOM = SystemRandom()


def spread(seconds: float, least: float = 0.5, most: float = 1.0) -> float:
    """Return `seconds` times a random number from `least` to `most`."""
    return seconds * _RANDOM.uniform(least, most)
