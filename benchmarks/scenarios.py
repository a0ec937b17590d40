"""What is measured: each scenario takes a peer and returns figures by name."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from benchmarks.harness import Peer, percentile, run

Figures = dict[str, float]
SINGLES, BULK, SAMPLES, GAP_S = 2000, 20_000, 200, 0.02
SLEEPS_S, CPU_JOBS = 3, 500


def enqueue(peer: Peer) -> Figures:
    """One process hands in jobs: one by one, and in bulk where the peer has a way."""
    with run(peer, "noop") as it:
        commands, reads = it.counters()
        seconds = it.ask("one", "noop", SINGLES)
        after = it.counters()
        size = it.redis.info("memory")["used_memory"]
        bulk = it.ask("bulk", "noop", BULK)
        grown = it.redis.info("memory")["used_memory"] - size
    return {
        "enqueue_one_per_s": SINGLES / seconds,
        "enqueue_bulk_per_s": BULK / bulk,
        "enqueue_commands": (after[0] - commands) / SINGLES,
        "enqueue_round_trips": (after[1] - reads) / SINGLES,
        "bytes_per_queued_job": grown / BULK,
    }


def drain(peer: Peer, processes: int = 1) -> Figures:
    """A backlog of no-ops, then the workers start; measured from the first body to the last."""
    with run(peer, "noop") as it:
        warm = max(50, peer.drain // 10)
        it.ask("bulk", "noop", warm)
        for _ in range(processes):
            it.start_worker()
        it.wait(warm)
        # A backlog for workers that run already (their start is measured elsewhere): they are
        # stopped while it is written, so that all that is measured is the draining.
        count = peer.drain * processes
        with it.frozen():
            it.ask("bulk", "noop", count)
            cpu, theirs, counters = it.cpu_s(), it.redis_cpu_s(), it.counters()
            began = time.monotonic()
        reading = it.wait(warm + count)
        seconds = reading.last - began
        time.sleep(0.3)  # the last results are being written
        after = it.counters()
        return {
            f"drain{processes}_per_s": count / seconds,
            f"drain{processes}_worker_us": (it.cpu_s() - cpu) / count * 1e6,
            f"drain{processes}_redis_us": (it.redis_cpu_s() - theirs) / count * 1e6,
            f"drain{processes}_commands": (after[0] - counters[0]) / count,
            f"drain{processes}_round_trips": (after[1] - counters[1]) / count,
        }


def drain_two(peer: Peer) -> Figures:
    """The same with two worker processes."""
    return drain(peer, 2)


def sleep10(peer: Peer) -> Figures:
    """Tasks that wait 10 ms, at the peer's concurrency, against the ideal of that concurrency."""
    ideal = peer.concurrency * 100
    count = ideal * SLEEPS_S if peer.concurrency > 1 else 200
    with run(peer, "sleep10") as it:
        it.start_worker()
        it.ask("bulk", "sleep10", 20)
        it.wait(20)
        it.ask("bulk", "sleep10", count)
        reading = it.wait(20 + count)
        starts = reading.starts[20:] if len(reading.starts) == 20 + count else reading.starts
        rate = (len(starts) - 1) / (starts[-1] - starts[0])
    return {"sleep10_per_s": rate, "sleep10_of_ideal": rate / ideal}


def cpu1(peer: Peer) -> Figures:
    """Synchronous tasks of 1 ms of CPU at concurrency 1: the ideal is 1,000/s."""
    with run(peer, "cpu1") as it:
        it.start_worker()
        it.ask("bulk", "cpu1", 20)
        it.wait(20)
        it.ask("bulk", "cpu1", CPU_JOBS)
        starts = it.wait(20 + CPU_JOBS).starts[20:]
    return {"cpu1_per_s": (len(starts) - 1) / (starts[-1] - starts[0])}


def latency(peer: Peer) -> Figures:
    """From the call of enqueue to the start of the body, on an idle worker."""
    with run(peer, "noop") as it:
        it.start_worker()
        it.ask("one", "noop", 20)
        it.wait(20)
        sent = it.ask("paced", "noop", SAMPLES, GAP_S)
        starts = it.wait(20 + SAMPLES).starts[20:]
    waits = [(start - moment) * 1000 for start, moment in zip(starts, sent, strict=True)]
    return {"latency_p50_ms": percentile(waits, 0.5), "latency_p99_ms": percentile(waits, 0.99)}


def cold(peer: Peer) -> Figures:
    """From spawning a worker to the first body, and what one more worker process costs."""
    with run(peer, "noop") as it:
        it.ask("one", "noop", 1)
        began = it.start_worker()
        reading = it.wait(1)
        one = _pss(it.tree())
        it.start_worker()
        time.sleep(2.0)  # let it finish its imports
        two = _pss(it.tree())
    return {"cold_ms": (reading.first - began) * 1000, "further_worker_mib": two - one}


def _pss(processes: list[psutil.Process]) -> float:
    return float(sum(p.memory_full_info().pss for p in processes)) / 2**20


SCENARIOS: dict[str, Callable[[Peer], Figures]] = {
    "enqueue": enqueue,
    "drain": drain,
    "drain_two": drain_two,
    "sleep10": sleep10,
    "cpu1": cpu1,
    "latency": latency,
    "cold": cold,
}
