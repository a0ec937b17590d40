"""Workers that have nothing to do: how soon they begin, and what they cost."""

from __future__ import annotations

import math
import statistics
import time

from benchmarks.harness import SETTLES_S, Run, run
from benchmarks.ours import Operator
from benchmarks.peer import PACED_WARM
from benchmarks.roster import Peer
from benchmarks.sizes import Sizes

_GAP_S = 0.012
_MANY = 3
"""Worker processes whose memory is compared with one's."""


def latency(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """From the call of enqueue to the start of the body, one job at a time on an idle worker."""
    count, warm = sizes.samples, 20
    with run(peer, "noop") as it:
        it.start()
        it.ask("one", "noop", warm)
        it.wait(warm)
        sent = it.ask("paced", "noop", count, _GAP_S)
        starts = it.wait(warm + PACED_WARM + count).starts[-count:]
    waits = sorted((start - moment) * 1000 for start, moment in zip(starts, sent, strict=True))
    return {
        "latency_p50_ms": statistics.median(waits),
        "latency_p99_ms": waits[math.ceil(count * 0.99) - 1],
    }


def cold(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """From spawning a worker to the first body; ours also from a zygote that is warm."""
    with run(peer, "noop") as it:
        it.ask("one", "noop", 1)
        began = it.start()
        figures = {"cold_ms": (it.wait(1).first - began) * 1000}
    if peer.ours:
        return figures | _awakened(peer, sizes.awakenings)
    return figures | {"new_worker_ms": figures["cold_ms"]}


def memory(peer: Peer, _: Sizes) -> dict[str, float]:
    """What each worker process beyond the first adds, after all have worked."""
    with run(peer, "noop") as it:
        it.start(_MANY if peer.ours else 1, least=1)
        ran = _all_work(it, 1, ran=0)
        one = it.pss_mib()
        if peer.ours:
            with Operator(it.url) as operator:
                operator.scale(_MANY)
        else:
            it.start(_MANY - 1)
        _all_work(it, _MANY, ran)
        return {"first_mib": one, "further_mib": (it.pss_mib() - one) / (_MANY - 1)}


def _awakened(peer: Peer, times: int) -> dict[str, float]:
    """Start a replica several times where there is none, from the zygote that is there."""
    waits, starts = [], []
    with run(peer, "noop") as it, Operator(it.url) as operator:
        it.start(1, least=0)
        it.ask("one", "noop", 1)
        for done in range(1, times + 1):
            it.wait(done)
            operator.empty()
            moment = operator.enqueue()
            body = it.wait(done + 1).last
            waits.append((body - moment) * 1000)
            starts.append((body - operator.ordered_at()) * 1000)
    return {"new_worker_ms": statistics.median(waits), "ordered_ms": statistics.median(starts)}


def _all_work(it: Run, workers: int, ran: int) -> int:
    """Let every worker run some jobs; return how many have run in all."""
    count = (20 if it.peer.singly else 200) * workers
    for _ in range(20):
        time.sleep(SETTLES_S)
        with it.frozen():
            it.ask("bulk", "noop", count)
        ran += count
        if it.wait(ran).processes >= workers:
            time.sleep(SETTLES_S)
            return ran
    raise RuntimeError(f"not all of {workers} workers took part")
