"""Enqueueing, from one process."""

from __future__ import annotations

from benchmarks.harness import run
from benchmarks.roster import Peer
from benchmarks.sizes import Sizes


def enqueue(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """One process hands in jobs: one by one, and in bulk where the peer has a way."""
    singles, many = sizes.singles, sizes.bulk
    with run(peer, "noop") as it:
        it.ask("one", "noop", 10)  # what a peer sets up once is there
        commands, reads = it.counters()
        _, seconds = it.ask("one", "noop", singles)
        after = it.counters()
        size = it.redis.info("memory")["used_memory"]
        _, bulk = it.ask("bulk", "noop", many)
        grown = it.redis.info("memory")["used_memory"] - size
    return {
        "enqueue_one_per_s": singles / seconds,
        "enqueue_bulk_per_s": many / bulk,
        "enqueue_commands": (after[0] - commands) / singles,
        "enqueue_round_trips": (after[1] - reads) / singles,
        "bytes_per_queued_job": grown / many,
    }
