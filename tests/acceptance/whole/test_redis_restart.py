"""Redis dies and comes back with its file: whatever was accepted ends."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from reuse_queue.embedded import EmbeddedRedis
from reuse_queue.settings import Settings
from support.fleet_processes import FleetProcesses
from support.lab import processes_in

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def settings(settings: Settings, data: Path) -> Settings:
    return replace(settings, redis_url=EmbeddedRedis(data).url)


def test_everything_finishes_once_redis_is_back(fleet: FleetProcesses, data: Path):
    app = fleet.write(replicas=(0, 3), concurrency=4)
    with EmbeddedRedis(data) as server:
        fleet.serve()
        held = app.wait.enqueue_many([()] * 3)
        jobs = app.doze.enqueue_many([(0.05,)] * 200)
        fleet.running(*held)
        fleet.until(lambda: fleet.snapshot().finished_total >= 20, "some work")
        os.kill(server.pid, signal.SIGKILL)
    # These end while nobody can be told.
    fleet.open()
    with EmbeddedRedis(data):
        more = app.add.enqueue_many([(number, 1) for number in range(20)])
        fleet.finished([*held, *jobs])
        assert fleet.finished(more) == list(range(1, 21))
        assert fleet.snapshot().finished_total == len([*held, *jobs, *more])
        assert {len(fleet.runs(job)) for job in held} == {1}
        assert fleet.snapshot().deaths == ()


def test_replicas_end_themselves_when_redis_is_away_for_longer_than_their_lease(
    fleet: FleetProcesses, data: Path
):
    app = fleet.write(replicas=(0, 2))
    with EmbeddedRedis(data) as server:
        _, agent = fleet.serve()
        jobs = app.wait.enqueue_many([()] * 6)
        fleet.running(*jobs[:4])
        before = {each.pid for each in fleet.ready(2)}
        os.kill(server.pid, signal.SIGKILL)
    # Before they do, nobody else may have their jobs.
    fleet.until(lambda: before.isdisjoint(map(pid, processes_in(fleet.folder))), "their end")
    with EmbeddedRedis(data):
        fleet.ready(2)
        fleet.open()
        assert before.isdisjoint(fleet.finished(jobs))
        assert [len(fleet.runs(job)) for job in jobs] == [2] * 4 + [1] * 2
        assert agent.poll() is None


def pid(process: psutil.Process) -> int:
    return int(process.pid)
