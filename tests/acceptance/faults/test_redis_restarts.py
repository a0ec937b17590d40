"""Redis is restarted in order, under load, and may take its time to load its file (LOADING)."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from reuse_queue import JobHandle, RedisUnavailable
from support.faulty_redis import fleet_at, server
from support.fleet_processes import FleetProcesses
from support.server import RedisServer

pytestmark = pytest.mark.timeout(90)
LEASE = timedelta(seconds=30)


def test_orderly_restarts_under_load_cost_no_job_and_no_run(tmp_path: Path):
    with (
        server(append_only=True, appendfsync="everysec") as here,
        fleet_at(here.url, tmp_path, lease=LEASE) as fleet,
    ):
        app = fleet.write(replicas=(0, 3), concurrency=4)
        scaler, agent = fleet.serve()
        held = app.wait.enqueue_many([("first",), ("second",), ("last",)])
        fleet.running(*held)
        with under_load(app) as jobs:
            for stop, gate in ((RedisServer.stop, "first"), (shut_down, "second")):
                more(fleet, 50)
                stop(here)
                # One ends while nobody can be told.
                fleet.open(gate)
                here.restart()
            more(fleet, 50)
        fleet.open("last")
        fleet.finished([*held, *jobs])
        assert {len(fleet.runs(job)) for job in [*held, *jobs]} == {1}
        assert fleet.snapshot().finished_total == len([*held, *jobs])
        assert fleet.snapshot().claimed == 0
        assert fleet.snapshot().deaths == ()
        assert (scaler.poll(), agent.poll()) == (None, None)


def test_a_server_that_loads_its_file_is_waited_for(tmp_path: Path):
    slow = {"key_load_delay": "1000", "loading_process_events_interval_bytes": "1024"}
    with (
        server(append_only=True, **slow) as here,
        fleet_at(here.url, tmp_path, lease=LEASE) as fleet,
    ):
        app, hasty = [fleet.write(replicas=(0, 2), concurrency=2) for _ in range(2)]
        hasty.env.bind(here.url)
        scaler, agent = fleet.serve()
        held = app.wait.enqueue_many([()] * 4)
        fleet.running(*held)
        waiting = app.add.enqueue_many([(number, 1) for number in range(20)])
        # A millisecond for each when they are loaded.
        fleet.raw.mset({f"filler:{number}": "x" * 100 for number in range(3000)})
        fleet.raw.bgrewriteaof()
        fleet.until(lambda: not fleet.raw.info()["aof_rewrite_in_progress"], "one file of it all")
        asked = hasty.wait.handle(held[0].id)
        here.stop()
        loading = threading.Thread(target=here.restart)
        loading.start()
        fleet.until(lambda: "is loading the dataset" in refusal(asked), "that it is said")
        fleet.open()
        waiting.append(app.add.enqueue(20, 1))
        loading.join()
        fleet.finished(held)
        assert fleet.finished(waiting) == list(range(1, 22))
        assert {len(fleet.runs(job)) for job in [*held, *waiting]} == {1}
        assert fleet.snapshot().deaths == ()
        assert (scaler.poll(), agent.poll()) == (None, None)
        # Agent and replicas, and the scaler, have met it.
        for name in ("agent-a", "scaler"):
            said = (fleet.folder / f"{name}.log").read_text()
            assert "is loading the dataset in memory" in said


def shut_down(redis_here: RedisServer) -> None:
    with redis_here.client() as raw, contextlib.suppress(redis.ConnectionError):
        raw.shutdown()
    redis_here.process.wait()


@contextlib.contextmanager
def under_load(app: Any) -> Iterator[list[JobHandle[int]]]:
    """Have jobs enqueued all the time within the block; yield those that were accepted."""
    accepted: list[JobHandle[int]] = []
    over = threading.Event()

    def enqueue() -> None:
        while not over.is_set():
            accepted.extend(app.doze.enqueue_many([(0.01,)] * 5))
            over.wait(0.02)

    load = threading.Thread(target=enqueue)
    load.start()
    try:
        yield accepted
    finally:
        over.set()
        load.join()


def more(fleet: FleetProcesses, count: int) -> None:
    """Return once so many more jobs have finished."""
    enough = fleet.snapshot().finished_total + count
    fleet.until(lambda: fleet.snapshot().finished_total >= enough, "some work")


def refusal(job: JobHandle[Any]) -> str:
    """Return what one is told who asks for a job's status."""
    try:
        job.status()
    except RedisUnavailable as error:
        return str(error)
    return ""
