"""Redis stands still for 17 s and for 20, at the default lease, as SIGSTOP and CLIENT PAUSE do it.

Both are longer than a reply may take. A replica ends itself once two thirds of its lease, 20 s,
have passed without a heartbeat: before that no run is lost, then it is a matter of moments.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import pytest

from reuse_queue import JobHandle, RedisUnavailable
from reuse_queue.settings import Settings
from support.faulty_redis import fleet_at, server
from support.fleet_processes import FleetProcesses
from support.lab import processes_in
from support.server import RedisServer

pytestmark = pytest.mark.timeout(150)
LEASE = Settings().lease
HEARTBEAT = Settings().heartbeat
Pause: TypeAlias = "Callable[[RedisServer, FleetProcesses, float], None]"


def stop(redis_here: RedisServer, _: FleetProcesses, seconds: float) -> None:
    redis_here.pause()
    threading.Timer(seconds, redis_here.go_on).start()


def pause(_: RedisServer, fleet: FleetProcesses, seconds: float) -> None:
    fleet.raw.client_pause(round(seconds * 1000), all=True)


def test_what_runs_and_what_waits_outlasts_a_pause_at_the_default_lease(tmp_path: Path):
    # All at once: each of them takes most of its time waiting.
    cases = [(how, seconds) for how in (stop, pause) for seconds in (17, 20)]
    with ThreadPoolExecutor(len(cases)) as pool:
        for each in [pool.submit(outlast, *case, tmp_path) for case in cases]:
            each.result()


def outlast(how: Pause, seconds: int, tmp_path: Path) -> None:
    (folder := tmp_path / f"{how.__name__}-{seconds}").mkdir()
    with (
        server() as here,
        fleet_at(here.url, folder, lease=LEASE, heartbeat=HEARTBEAT) as fleet,
    ):
        app, hasty = [fleet.write(replicas=(0, 2), concurrency=2) for _ in range(2)]
        hasty.env.bind(here.url)
        scaler, agent = fleet.serve()
        running = app.wait.enqueue_many([("meanwhile",), ("meanwhile",), ("then",), ("then",)])
        fleet.running(*running)
        waiting = app.add.enqueue_many([(number, 1) for number in range(20)])
        with ThreadPoolExecutor() as application:
            result = application.submit(running[0].result, timeout=60)
            too_early = application.submit(hasty.wait.handle(running[0].id).result, timeout=60)
            how(here, fleet, seconds)
            # Two of them end while nobody can be told.
            fleet.open("meanwhile")
            enqueued = application.submit(app.add.enqueue, 1, 2)
            with pytest.raises(RedisUnavailable, match="cannot be reached"):
                hasty.add.enqueue(3, 4)
            assert isinstance(too_early.exception(), RedisUnavailable)
            waiting.append(enqueued.result())
            fleet.open("then")
            assert fleet.finished(waiting) == [*range(1, 21), 3]
            pids = fleet.finished(running)
            assert result.result() == pids[0]

        assert pids == [fleet.runs(job)[-1] for job in running]
        assert {len(fleet.runs(job)) for job in waiting} == {1}
        assert (scaler.poll(), agent.poll()) == (None, None)
        ended = fenced(fleet, running)
        assert not ended or seconds == 20


def fenced(fleet: FleetProcesses, jobs: list[JobHandle[int]]) -> set[int]:
    """Return the processes that jobs began in first and then again elsewhere: they must be gone."""
    found = {fleet.runs(job)[0] for job in jobs if len(fleet.runs(job)) > 1}
    assert found.isdisjoint(each.pid for each in processes_in(fleet.folder))
    deaths = fleet.snapshot().deaths
    assert len(deaths) == len(found)
    assert all("fenced itself" in death.cause for death in deaths)
    return found
