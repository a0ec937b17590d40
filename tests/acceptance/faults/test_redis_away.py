"""Redis stands still, or its connections are cut: no job is lost, none has two results."""

import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from support.faulty_redis import fleet_at, server
from support.fleet_processes import FleetProcesses
from support.lab import processes_in
from support.server import RedisServer
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(90)
LEASE_S = 3


@pytest.fixture
def redis_here() -> Iterator[RedisServer]:
    with server() as made:
        yield made


@pytest.fixture
def fleet(redis_here: RedisServer, tmp_path: Path) -> Iterator[FleetProcesses]:
    with fleet_at(redis_here.url, tmp_path, lease=timedelta(seconds=LEASE_S)) as made:
        yield made


def test_a_pause_shorter_than_the_lease_costs_no_run(redis_here: RedisServer, tmp_path: Path):
    with fleet_at(redis_here.url, tmp_path, lease=timedelta(seconds=20)) as fleet:
        app = fleet.write(replicas=(0, 2), concurrency=4)
        fleet.serve()
        held = app.wait.enqueue_many([()] * 3)
        jobs = app.doze.enqueue_many([(0.05,)] * 100)
        fleet.running(*held)
        fleet.raw.client_pause(1500)
        # Answered when the pause is over.
        more = app.add.enqueue_many([(1, 1)] * 10)
        redis_here.pause()
        going_on = threading.Timer(1.5, redis_here.go_on)
        going_on.start()
        more += app.add.enqueue_many([(1, 1)] * 10)
        going_on.join()
        fleet.open()
        fleet.finished([*held, *jobs, *more])
        assert {len(fleet.runs(job)) for job in [*held, *jobs, *more]} == {1}
        assert fleet.snapshot().deaths == ()


def test_a_stop_longer_than_the_lease_ends_the_replicas_and_no_late_result_counts(
    fleet: FleetProcesses, redis_here: RedisServer
):
    app = fleet.write(replicas=(0, 2), concurrency=4)
    _, agent = fleet.serve()
    held = app.wait.enqueue_many([()] * 6)
    fleet.running(*held)
    before = {each.pid for each in fleet.ready(2)}
    redis_here.pause()
    fleet.until(lambda: before.isdisjoint(p.pid for p in processes_in(fleet.folder)), "their end")
    redis_here.go_on()
    fleet.until(lambda: all(len(fleet.runs(job)) == 2 for job in held), "the second runs")
    fleet.open()
    assert before.isdisjoint(fleet.finished(held))
    assert fleet.finished([app.add.enqueue(1, 2)]) == [3]
    assert agent.poll() is None


def test_connections_cut_at_random_and_scripts_forgotten_under_load(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 3), concurrency=4)
    fleet.serve()
    chance = random.Random(4)
    jobs = []
    for _ in range(25):
        jobs += app.doze.enqueue_many([(0.01,)] * 20)
        clients = fleet.raw.client_list()
        for each in chance.sample(clients, k=min(4, len(clients))):
            fleet.raw.client_kill_filter(_id=each["id"], skipme=True)
        fleet.raw.script_flush()
    fleet.finished(jobs)
    assert {len(fleet.runs(job)) for job in jobs} == {1}
    assert fleet.snapshot().finished_total == len(jobs)
    assert fleet.snapshot().deaths == ()
    assert fleet.snapshot().claimed == 0


def test_a_redis_that_was_emptied_serves_new_jobs(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 2), concurrency=2)
    scaler, agent = fleet.serve()
    lost = app.wait.enqueue_many([()] * 4)
    fleet.running(*lost)
    before = {each.pid for each in fleet.ready(2)}
    fleet.raw.flushall()
    job = app.add.enqueue(1, 2)
    assert fleet.finished([job]) == [3]
    fleet.until(lambda: before.isdisjoint(p.pid for p in processes_in(fleet.folder)), "their end")
    fleet.ready(1)
    assert (scaler.poll(), agent.poll()) == (None, None)


PATIENT = """
from reuse_queue.settings import Settings

env.bind(Settings.from_env(), patience=60)

@env.task
async def hand_on(gate: str = "gate") -> str:
    begin()
    while not (FOLDER / gate).exists():
        await asyncio.sleep(0.02)
    (FOLDER / "asks").touch()
    return (await add.aenqueue(1, 2)).id
"""


def test_a_job_enqueues_with_the_patience_that_its_environment_was_bound_with(tmp_path: Path):
    with (
        server(append_only=True) as made,
        fleet_at(made.url, tmp_path, lease=timedelta(seconds=30)) as fleet,
    ):
        app = fleet.write(replicas=(1, 1), tasks=COROUTINES + PATIENT)
        fleet.serve()
        job = app.hand_on.enqueue()
        fleet.running(job)
        made.kill()
        fleet.open()
        fleet.until((tmp_path / "asks").exists, "its enqueue")
        made.restart()
        [child] = fleet.finished([job])
        assert fleet.finished([app.add.handle(child)]) == [3]
