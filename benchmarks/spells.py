"""Enqueue tasks of given lengths: `python -m benchmarks.spells many FIRST SECONDS…`.

Or `trickle FIRST LONG SHORT COUNT GAP`: a long one, then short ones, one at a time. It prints when
the short ones were handed in. FIRST is the index of the first task.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.peers.reuse import spell


def _many(first: float, *seconds: float) -> list[float]:
    spell.enqueue_many((int(first) + at, each) for at, each in enumerate(seconds))
    return []


def _trickle(first: float, long: float, short: float, count: float, gap: float) -> list[float]:
    index = int(first)
    spell.enqueue(index, long)
    time.sleep(0.1)
    moments = []
    for at in range(1, int(count) + 1):
        time.sleep(gap)
        moments.append(time.monotonic())
        spell.enqueue(index + at, short)
    return moments


if __name__ == "__main__":
    enqueue = _many if sys.argv[1] == "many" else _trickle
    print(json.dumps(enqueue(*map(float, sys.argv[2:]))))
