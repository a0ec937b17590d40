"""Does claiming ahead make a job wait that another replica could have run?"""

from __future__ import annotations

import sys
import time
from itertools import accumulate

from benchmarks.harness import SETTLES_S, Run, run
from benchmarks.roster import Peer
from benchmarks.sizes import Sizes

_SHORT_S, _LONG_S = 0.001, 1.0
_JOBS, _LONG_AT = 2000, 300
_TRICKLE, _GAP_S = 100, 0.008


def fairness(peer: Peer, _: Sizes) -> dict[str, float]:
    """Two replicas at concurrency 1: a long task among short ones; one busy, short ones coming.

    Each with claims as they are, and with claims of one job at a time, which is what is fair.
    """
    found: dict[str, float] = {}
    for name in ("ahead", "one"):
        with run(peer, "spell", BENCH_CLAIM=name) as it:
            it.start(2)
            first = _spells(it, [_SHORT_S] * 40, 0)
            found |= {f"{name}_{key}": value for key, value in _among(it, first).items()}
            found |= {f"{name}_{key}": value for key, value in _beside(it).items()}
    return {f"fair_{key}": value for key, value in found.items()}


def _among(it: Run, first: int) -> dict[str, float]:
    """A backlog of short tasks with a long one inside: who waits behind it?

    A job is late by how long after the first job that was enqueued behind it it started.
    """
    spells = [_SHORT_S] * _JOBS
    spells[_LONG_AT] = _LONG_S
    with it.frozen():
        _enqueue(it, spells, first)
        began = time.monotonic()
    reading = it.wait(first + _JOBS)
    starts = [reading.by_index[first + at] for at in range(_JOBS)]
    behind = list(accumulate(reversed(starts), min))[::-1]
    late = sorted(start - soonest for start, soonest in zip(starts, behind, strict=True))
    return {
        "per_s": _JOBS / (reading.last - began),
        "late_p99_ms": late[int(_JOBS * 0.99)] * 1000,
        "late_worst_ms": late[-1] * 1000,
        "jobs_late": float(sum(each > 0.01 for each in late)),
    }


def _beside(it: Run) -> dict[str, float]:
    """One replica has a long task, and short ones come one by one: what do they wait for?"""
    first = it.ran()
    argv = _argv("trickle", first, _LONG_S + 0.2, _SHORT_S, _TRICKLE, _GAP_S)
    sent = it.output(*argv)
    starts = it.wait(first + 1 + _TRICKLE).by_index
    waits = sorted(starts[first + 1 + at] - moment for at, moment in enumerate(sent))
    return {
        "beside_p50_ms": waits[len(waits) // 2] * 1000,
        "beside_worst_ms": waits[-1] * 1000,
    }


def _spells(it: Run, spells: list[float], first: int) -> int:
    """Run such tasks; return how many have run in all."""
    _enqueue(it, spells, first)
    it.wait(first + len(spells))
    time.sleep(SETTLES_S)
    return first + len(spells)


def _enqueue(it: Run, spells: list[float], first: int) -> None:
    it.output(*_argv("many", first, *spells))


def _argv(verb: str, *numbers: float) -> tuple[str, ...]:
    return (sys.executable, "-m", "benchmarks.spells", verb, *map(str, numbers))
