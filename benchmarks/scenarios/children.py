"""A parent that enqueues children and waits for their results: with room for them, and without."""

from __future__ import annotations

import time

from benchmarks.harness import SETTLES_S, Run, run
from benchmarks.roster import Peer
from benchmarks.sizes import Sizes

_FEW = 10


def fanout(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """One worker process; from the enqueue of the parent until it has all results."""
    count = sizes.children
    with run(peer, "fan", BENCH_CHILDREN=str(count)) as it:
        _warmed(it, "noop")
        it.redis.config_resetstat()
        began = _sent(it, "fan")
        # The parent counts itself at its end.
        seconds = it.wait(1 + count + 1).by_index[0] - began
        time.sleep(SETTLES_S)
        commands, reads = it.counters()
    return {
        "fanout_s": seconds,
        "fanout_per_s": count / seconds,
        "fanout_commands": commands / count,
        "fanout_round_trips": reads / count,
    }


def alone(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """One worker that runs one job at a time, and a parent of ten: does it ever have them?"""
    with run(peer, "alone", BENCH_CHILDREN=str(_FEW)) as it:
        _warmed(it, "sync")
        began = _sent(it, "alone")
        ends = began + sizes.alone_s
        while (ended := it.ran()) < 1 + _FEW + 1 and time.monotonic() < ends:
            time.sleep(0.02)
        if ended == 1 + _FEW + 1:
            return {"alone_s": it.wait(ended).by_index[0] - began}
        return {"alone_given_up_s": sizes.alone_s, "alone_children": ended - 1.0}


def _warmed(it: Run, kind: str) -> None:
    it.start()
    it.ask("one", kind, 1)
    it.wait(1)
    time.sleep(SETTLES_S)


def _sent(it: Run, kind: str) -> float:
    return float(it.ask("one", kind, 1)[0])
