"""`python -m soak [JOBS]`: what do so many jobs leave behind, in Redis and in the processes?

A fleet of real processes runs jobs of all kinds that are kept for a second. What there is of
Redis' keys and memory, and of each process's memory and files, is compared between a warm fleet
at rest and the same fleet after the jobs. Ends with 1 where something grew.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from reuse_queue.facts import Replica
from reuse_queue.policy import StarvationWarning
from reuse_queue.settings import Settings
from soak.application import OTHER, TASKS, Producer, at_rest, backlog
from soak.figures import MEMORY, Figure, Reading, figures, of_processes, of_redis, table
from support.arguments import count
from support.eventually import eventually_sync
from support.fleet_processes import ENV, FleetProcesses
from support.interrupts import stoppable
from support.lab import processes_in
from support.server import RedisServer, programs

WARM_UP = 20_000
AHEAD = 5_000
"""Jobs that may wait: more would measure the backlog."""
READINGS = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__.partition("\n\n")[2])
    parser.add_argument("jobs", nargs="?", type=count, default=1_000_000, help="(default: 1000000)")
    jobs = parser.parse_args().jobs
    warnings.simplefilter("ignore", StarvationWarning)
    with fleet() as (started, app):
        rows, took = soak(started, app, jobs)
    print(f"\n{jobs:,} jobs in {took:,.0f} s, {jobs / took:,.0f} a second\n\n{table(rows)}\n")
    grown = [str(row) for row in rows if row.grew]
    print(f"Grew: {', '.join(grown)}" if grown else "Nothing grew beyond its limit.")
    return 1 if grown else 0


@contextmanager
def fleet() -> Iterator[tuple[FleetProcesses, Any]]:
    """Start a Redis, a scaler, an agent, and two replicas each of two environments."""
    server = RedisServer(next(iter(programs().values())))
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        settings = replace(Settings(), redis_url=server.url, log_level="warning")
        started = FleetProcesses(settings, Path(folder))
        try:
            app = started.write(replicas=2, concurrency=10, tasks=TASKS)
            app.env.bind(server.url)
            app.other.bind(server.url)
            started.serve("whole_app:other")
            started.ready(2)
            yield started, app
        finally:
            started.close()
            server.close()


def soak(started: FleetProcesses, app: Any, jobs: int) -> tuple[list[Figure], float]:
    """Warm the fleet up, run the jobs, and return what is to be compared."""
    producer = Producer(app, started.raw)
    run(started, producer, WARM_UP)
    before = reading(started)
    print(f"warm after {WARM_UP:,} jobs", flush=True)
    began = time.monotonic()
    for part in range(READINGS):
        run(started, producer, jobs // READINGS)
        held = of_processes(processes(started)).values()
        memory = sum(each[MEMORY] for each in held)
        print(f"{(part + 1) * 100 // READINGS} %: {memory:.1f} MiB in all processes", flush=True)
    took = time.monotonic() - began
    return figures(before, reading(started)), took


def run(started: FleetProcesses, producer: Producer, jobs: int) -> None:
    """Run about so many jobs to their end."""
    done = 0
    while done < jobs:
        done += producer.batch()
        eventually_sync(lambda: backlog(started.raw) < AHEAD, within=120, what="room")
    eventually_sync(lambda: at_rest(started.raw), within=120, what="the end of all jobs")


def reading(started: FleetProcesses) -> Reading:
    """Read everything, once nothing goes away any more by itself."""
    raw = started.raw
    seen: list[int] = []

    def settled() -> bool:
        seen.append(raw.dbsize())
        time.sleep(0.5)
        return len(seen) > 6 and len(set(seen[-6:])) == 1

    eventually_sync(settled, within=120, what="the end of what is kept for a second")
    gc.collect()
    return of_redis(raw) | of_processes(processes(started))


def processes(started: FleetProcesses) -> dict[str, int]:
    """Return the process ids of the fleet, and of the application, which is this process."""
    named = {"application": os.getpid()}
    replicas = [
        (replica.pid, f"{env}, replica {number}")
        for env in (ENV, OTHER)
        for number, replica in enumerate(by_name(started.snapshot(env).replicas), 1)
    ]
    for process in processes_in(started.folder):
        # A replica keeps the command line of the zygote that it was forked from.
        words = process.cmdline()
        named[dict(replicas).get(process.pid) or role(words)] = process.pid
    return dict(sorted(named.items()))


def by_name(replicas: Iterable[Replica]) -> list[Replica]:
    return sorted(replicas, key=lambda each: each.name)


def role(words: list[str]) -> str:
    if "zygote" in words:
        return f"zygote of {words[words.index('zygote') + 1]}"
    return next(each for each in ("scaler", "reuse_agent") if each in words)


if __name__ == "__main__":
    sys.exit(stoppable("soak", main))
