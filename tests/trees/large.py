"""`python -m trees.large`: trees of ten thousand jobs on one replica with one slot.

Coroutines and plain functions: a recursion to depth 50, a hundred jobs with a hundred children
each, and a binary tree. Each job waits for its children, and is counted. Ends with 1 where a tree
has another number of jobs than it should.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from reuse_queue.policy import StarvationWarning
from reuse_queue.settings import Settings
from support.fleet_processes import FleetProcesses
from support.interrupts import stoppable
from support.server import RedisServer, programs

SHAPES = {"a recursion": [1] * 50, "a hundred hundreds": [100, 100], "binary": [2] * 12}
"""How many children jobs have, level by level."""
TASKS = """
from reuse_queue import agather, gather

@env.task
async def grows(widths: list[int]) -> int:
    if not widths:
        return 1
    handles = await grows.aenqueue_many([(widths[1:],)] * widths[0])
    return 1 + sum(await agather(*handles))

@env.task
def grows_here(widths: list[int]) -> int:
    if not widths:
        return 1
    return 1 + sum(gather(*grows_here.enqueue_many([(widths[1:],)] * widths[0])))
"""


def jobs(widths: Sequence[int]) -> int:
    """Return how many jobs a tree has."""
    return 1 + widths[0] * jobs(widths[1:]) if widths else 1


def serve(fleet: FleetProcesses) -> Any:
    """Start a fleet of one replica with one slot; return its application."""
    app = fleet.write(replicas=1, concurrency=1, tasks=TASKS)
    fleet.serve()
    fleet.ready()
    return app


def main() -> int:
    warnings.simplefilter("ignore", StarvationWarning)
    server, wrong = RedisServer(next(iter(programs().values()))), 0
    with tempfile.TemporaryDirectory(prefix="trees-") as folder:
        settings = replace(Settings(), redis_url=server.url, lease=timedelta(seconds=30))
        fleet = FleetProcesses(settings, Path(folder))
        try:
            app = serve(fleet)
            for name, widths in SHAPES.items():
                for task in (app.grows, app.grows_here):
                    began = time.monotonic()
                    found, expected = task.enqueue_and_wait(widths), jobs(widths)
                    took = time.monotonic() - began
                    print(f"{task.__name__}, {name}: {found:,} jobs in {took:.1f} s")
                    wrong += found != expected
        finally:
            fleet.close()
            server.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(stoppable("trees large", main))
