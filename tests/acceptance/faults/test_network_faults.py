"""The network between a host and Redis: slow, cut, deaf, and gone for a while."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from chaos.network import Network
from support.faulty_redis import fleet_at, server
from support.fleet_processes import FleetProcesses
from support.lab import processes_in
from support.privileges import elsewhere
from support.server import RedisServer, free_port

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def redis_here() -> Iterator[RedisServer]:
    with server() as made:
        yield made


@pytest.fixture
def network(redis_here: RedisServer) -> Iterator[Network]:
    made = Network(str(redis_here.socket))
    yield made
    made.close()


@pytest.fixture
def fleet(redis_here: RedisServer, network: Network, tmp_path: Path) -> Iterator[FleetProcesses]:
    """Its processes reach Redis through the network, the test does not."""
    with fleet_at(redis_here.url, tmp_path, lease=timedelta(seconds=12)) as made:
        made.settings_of_processes(redis_url=network.url)
        yield made


def test_half_open_connections_leave_nobody_deaf(fleet: FleetProcesses, network: Network):
    app = fleet.write(replicas=(0, 2), concurrency=2)
    fleet.serve()
    held = app.wait.enqueue_many([()] * 3)
    fleet.running(*held)
    # One slot is free: its replica waits for a job where none will be heard of.
    network.forget()
    jobs = app.add.enqueue_many([(number, 1) for number in range(20)])
    assert fleet.finished(jobs, within=15) == list(range(1, 21))
    fleet.open()
    fleet.finished(held)
    assert {len(fleet.runs(job)) for job in held} == {1}
    assert fleet.snapshot().deaths == ()


def test_latency_and_resets_lose_no_job(fleet: FleetProcesses, network: Network):
    app = fleet.write(replicas=(0, 2), concurrency=4)
    fleet.serve()
    network.latency_s = 0.02
    chance = random.Random(7)
    jobs = []
    for _ in range(8):
        jobs += app.doze.enqueue_many([(0.02,)] * 15)
        done = fleet.snapshot().finished_total + chance.randint(1, 10)
        fleet.until(lambda done=done: fleet.snapshot().finished_total >= done, "work")  # type: ignore[misc]
        network.reset()
    fleet.finished(jobs)
    assert {len(fleet.runs(job)) for job in jobs} == {1}
    assert fleet.snapshot().finished_total == len(jobs)
    assert fleet.snapshot().claimed == 0
    assert fleet.snapshot().deaths == ()


def test_a_host_that_is_cut_off_stops_itself_and_serves_again_once_it_is_back(tmp_path: Path):
    with elsewhere() as there:
        port = free_port()
        open_to = {"bind": f"127.0.0.1 {there.here}", "protected_mode": "no"}
        with (
            server(port=port, **open_to),
            fleet_at(
                f"redis://{there.here}:{port}/0", tmp_path, lease=timedelta(seconds=3)
            ) as fleet,
        ):
            app = fleet.write(replicas=(0, 1), concurrency=2)
            fleet.scaler()
            agent = fleet.agent("a", through=there.through)
            fleet.offered()
            held = app.wait.enqueue_many([()] * 2)
            fleet.running(*held)
            [cut_off] = fleet.ready(1)
            there.cut()
            other = fleet.agent("b")
            fleet.until(lambda: all(len(fleet.runs(job)) == 2 for job in held), "second runs")
            # Before anybody else may have its jobs, it has ended.
            assert cut_off.pid not in {each.pid for each in processes_in(fleet.folder)}
            fleet.open()
            assert cut_off.pid not in fleet.finished(held)
            there.heal()
            fleet.offered(on="a")
            other.terminate()
            fleet.ended(other)
            assert fleet.finished([app.add.enqueue(1, 2)]) == [3]
            assert [each.host for each in fleet.ready(1)] == ["a"]
            assert agent.poll() is None
