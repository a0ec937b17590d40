"""Workers that have a backlog: what they get done in a second."""

from __future__ import annotations

import sys
import time

from benchmarks.harness import SETTLES_S, Run, run
from benchmarks.roster import Peer
from benchmarks.sizes import Sizes

_BATCH = 100
"""Jobs that a replica claims at once under backlog."""


def drain(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """No-ops, one worker process; ours also against a bare loop of its own scripts."""
    figures = _drain(peer, sizes, workers=1)
    if peer.ours:
        figures["scripts_per_s"] = _scripts(peer, _count(peer, "noop", sizes))
    return figures


def drain_two(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """No-ops, two worker processes."""
    return _drain(peer, sizes, workers=2)


def sleep10(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """Tasks that wait 10 ms, at concurrency 100: the ideal is 10,000/s."""
    per_s = _busy(peer, "sleep10", sizes)
    return {"sleep10_per_s": per_s, "sleep10_of_ideal": per_s / (peer.concurrency * 100)}


def sync(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """No-ops at concurrency 1; ours are plain functions."""
    return {"sync_per_s": _busy(peer, "sync", sizes)}


def cpu1(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """Tasks of 1 ms of CPU at concurrency 1: the ideal is 1,000/s."""
    return {"cpu1_per_s": _busy(peer, "cpu1", sizes)}


# -------------------------------------------------------------------------------------------


def _drain(peer: Peer, sizes: Sizes, workers: int) -> dict[str, float]:
    count = _count(peer, "noop", sizes) * workers
    with run(peer, "noop") as it:
        warm = _warm(it, "noop", sizes, workers)
        with it.frozen():
            it.ask("bulk", "noop", count)
            cpu, theirs, before = it.cpu_s(), it.redis_cpu_s(), it.counters()
            began = time.monotonic()
        seconds = it.wait(warm + count).last - began
        time.sleep(SETTLES_S)
        after = it.counters()
        figures = {
            "per_s": count / seconds,
            "worker_us": (it.cpu_s() - cpu) / count * 1e6,
            "redis_us": (it.redis_cpu_s() - theirs) / count * 1e6,
            "commands": (after[0] - before[0]) / count,
            "round_trips": (after[1] - before[1]) / count,
        }
    return {f"drain{workers}_{name}": value for name, value in figures.items()}


def _busy(peer: Peer, kind: str, sizes: Sizes) -> float:
    """Return how many jobs of a kind one worker process runs in a second."""
    count = _count(peer, kind, sizes)
    with run(peer, kind) as it:
        warm = _warm(it, kind, sizes, workers=1)
        with it.frozen():
            it.ask("bulk", kind, count)
            began = time.monotonic()
        return count / (it.wait(warm + count).last - began)


def _warm(it: Run, kind: str, sizes: Sizes, workers: int) -> int:
    """Start workers and let them run a while; return how many jobs that took.

    Their start is measured elsewhere.
    """
    warm = max(20 * workers, _count(it.peer, kind, sizes) * workers // 10)
    it.ask("bulk", kind, warm)
    it.start(workers)
    it.wait(warm)
    return warm


def _count(peer: Peer, kind: str, sizes: Sizes) -> int:
    return max(20, round(peer.rates[kind] * sizes.seconds))


def _scripts(peer: Peer, count: int) -> float:
    """Return how many jobs a second two connections claim and finish that run no task at all."""
    with run(peer, "noop") as it:
        it.ask("bulk", "noop", count)
        argv = (sys.executable, "-m", "benchmarks.scripts", it.url, str(count), str(_BATCH), "2")
        return count / float(it.output(*argv)["seconds"])
