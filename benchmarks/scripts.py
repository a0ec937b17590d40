"""Claim and finish jobs by our scripts alone: `python -m benchmarks.scripts URL COUNT SIZE LOOPS`.

It prints what took how long. No task is run and no payload read: what is left is what Redis and
the way to it cost, which no worker can be faster than. Several loops take turns, so that Redis
need not wait for Python.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from dataclasses import replace
from typing import Any

from reuse_queue.broker.connection import Connection, Request, Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.lease import CLAIMED_FIELDS, Leases, new_token
from reuse_queue.job import Outcome, Verdict
from reuse_queue.settings import Settings

_ENV = "bench"
_HEAD = 5
"""Where the jobs begin in a claim's reply."""


class Loop(threading.Thread):
    """One guest of the environment that claims and finishes `count` jobs, `size` at a time."""

    def __init__(self, settings: Settings, name: str, count: int, size: int) -> None:
        super().__init__(name=name)
        self.claims: list[float] = []
        """How long each claim took, in seconds."""
        self._connection = Connection(settings)
        self._leases = Leases(self._connection.keys, _ENV, settings)
        self._count, self._size = count, size
        fleet = Fleet(self._connection.keys, settings)
        self._connection.run(fleet.enlist(_ENV, name, "bench", os.getpid()))

    def run(self) -> None:
        """Go on until its share is done."""
        done = 0
        while done < self._count:
            done += self._turn(min(self._size, self._count - done))
        self._connection.close()

    def _turn(self, size: int) -> int:
        began = time.perf_counter()
        reply = self._connection.run(_raw(self._leases.claim(self.name, size, new_token())))
        self.claims.append(time.perf_counter() - began)
        given = reply[_HEAD - 1]
        if not given:
            raise SystemExit(f"a claim brought nothing: {reply}")
        words = reply[_HEAD : _HEAD + given * CLAIMED_FIELDS]
        ends = [
            Outcome(job_id=job.decode(), execution=execution.decode(), verdict=Verdict.FINISHED)
            for job, execution in zip(
                words[::CLAIMED_FIELDS], words[1::CLAIMED_FIELDS], strict=True
            )
        ]
        letters = self._connection.run(_raw(self._leases.finish(self.name, ends)))
        if letters != b"f" * given:
            raise SystemExit(f"not all were finished: {letters}")
        return int(given)


def _raw(step: Step[Any]) -> Step[Any]:
    """Return what the server answers to a step's one request."""
    request: Request = next(step)
    return (yield request)


def main(url: str, count: int, size: int, loops: int) -> None:
    """Run the loops and print their figures."""
    settings = replace(Settings.from_env(), redis_url=url)
    threads = [Loop(settings, f"loop-{at}", count // loops, size) for at in range(loops)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - began
    claims = sorted(took for thread in threads for took in thread.claims)
    figures = {
        "seconds": seconds,
        "claim_p50_ms": statistics.median(claims) * 1000,
        "claim_p99_ms": claims[int(len(claims) * 0.99)] * 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
