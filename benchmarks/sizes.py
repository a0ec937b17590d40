"""How much of everything a run measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Numbers of jobs, and seconds."""

    singles: int
    """Jobs that are enqueued one by one."""
    bulk: int
    """Jobs that are enqueued in bulk."""
    seconds: float
    """About how long a worker is kept busy; times a peer's rate, the number of jobs."""
    samples: int
    """Single jobs of which the latency is taken."""
    awakenings: int
    """Replicas that are started from a warm zygote."""
    burst: int
    """Jobs that arrive at once on a dormant environment."""
    depth: int
    """Jobs that are queued while the rates are taken once more; 0: not in this round."""
    children: int
    """Jobs that one parent enqueues and waits for."""
    alone_s: float
    """How long a parent may wait in the only slot; 0: not in this round."""
    tail: bool
    """Wait until a burst's replicas have gone."""


QUICK = Sizes(
    singles=1000,
    bulk=5000,
    seconds=0.7,
    samples=100,
    awakenings=3,
    burst=10_000,
    depth=100_000,
    children=10_000,
    alone_s=5,
    tail=False,
)
FULL = Sizes(
    singles=2000,
    bulk=20_000,
    seconds=1.5,
    samples=200,
    awakenings=5,
    burst=10_000,
    depth=1_000_000,
    children=10_000,
    alone_s=20,
    tail=True,
)
