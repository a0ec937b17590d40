"""Claim and finish jobs by our scripts alone: `python -m benchmarks.scripts URL COUNT SIZE LOOPS`.

It prints what took how long. No task is run and no payload read: what is left is what Redis and
the way to it cost. Several loops take turns, so that Redis need not wait for Python.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from dataclasses import replace

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.lease import Leases, new_token
from reuse_queue.job import Outcome, Recorded, Verdict
from reuse_queue.settings import Settings

_ENV = "bench"


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
        claim = self._connection.run(self._leases.claim(self.name, size, new_token()))
        self.claims.append(time.perf_counter() - began)
        if not claim.jobs:
            raise SystemExit(f"a claim brought nothing: {claim}")
        ends = [
            Outcome(job_id=job.id, execution=job.execution, verdict=Verdict.FINISHED)
            for job in claim.jobs
        ]
        became = self._connection.run(self._leases.finish(self.name, ends))
        if set(became) != {Recorded.FINISHED}:
            raise SystemExit(f"not all were finished: {became}")
        return len(ends)


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
