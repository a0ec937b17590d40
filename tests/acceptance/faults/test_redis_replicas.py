"""A replica of Redis: what it confirms, and what it refuses."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from reuse_queue import NotReplicated, RedisUnavailable
from support.eventually import eventually_sync
from support.faulty_redis import fleet_at, server
from support.fleet_processes import FleetProcesses
from support.server import RedisServer, free_port

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def primary() -> Iterator[RedisServer]:
    with server(port=free_port(), repl_diskless_sync_delay="0") as made:
        yield made


@pytest.fixture
def replica(primary: RedisServer) -> Iterator[RedisServer]:
    with server(port=free_port()) as made:
        with primary.client() as raw:
            port = raw.config_get("port")["port"]
        with made.client() as raw:
            raw.replicaof("127.0.0.1", port)
            eventually_sync(lambda: raw.info("replication")["master_link_status"] == "up")
        yield made


@pytest.fixture
def fleet(primary: RedisServer, tmp_path: Path) -> Iterator[FleetProcesses]:
    with fleet_at(primary.url, tmp_path) as made:
        yield made


def test_what_no_replica_confirms_is_accepted_and_said_to_be_at_risk(
    fleet: FleetProcesses, replica: RedisServer
):
    app = fleet.write()
    sure = app.add.override(durability="replicated")
    safe = sure.enqueue(1, 2)
    with replica.client() as raw:
        assert raw.exists(f"rq:job:{safe.id}")
    replica.pause()
    with pytest.raises(NotReplicated, match="was accepted, but no replica of Redis") as caught:
        sure.enqueue(3, 4)
    [job_id] = caught.value.job_ids
    assert pickle.loads(pickle.dumps(caught.value)).job_ids == (job_id,)
    with pytest.raises(NotReplicated, match="2 jobs were accepted") as many:
        sure.enqueue_many([(5, 6), (7, 8)])
    replica.go_on()
    fleet.serve()
    accepted = [safe, *map(app.add.handle, (job_id, *many.value.job_ids))]
    assert fleet.finished(accepted) == [3, 7, 11, 15]


def test_scripts_forgotten_meanwhile_do_not_confirm_what_is_not_replicated(
    fleet: FleetProcesses, replica: RedisServer
):
    sure = fleet.write().add.override(durability="replicated")
    sure.enqueue(1, 2)
    replica.pause()
    fleet.raw.script_flush()
    with pytest.raises(NotReplicated):
        sure.enqueue(3, 4)


def test_a_primary_that_becomes_a_replica_is_waited_for(
    fleet: FleetProcesses, primary: RedisServer, replica: RedisServer
):
    app = fleet.write(replicas=(0, 2), concurrency=4)
    _, agent = fleet.serve()
    held = app.wait.enqueue_many([()] * 3)
    fleet.running(*held)
    with primary.client() as raw, replica.client() as other:
        other.replicaof("NO", "ONE")
        raw.replicaof("127.0.0.1", other.config_get("port")["port"])
        app.env.bind(primary.url)
        with pytest.raises(RedisUnavailable, match="is a replica, which takes no writes: name its"):
            app.add.enqueue(1, 2)
        fleet.open()
        logs = fleet.folder / "agent-a.log"
        fleet.until(lambda: "outcomes not recorded yet" in logs.read_text(), "refused outcomes")
        raw.replicaof("NO", "ONE")
    fleet.finished(held)
    assert {len(fleet.runs(job)) for job in held} == {1}
    assert fleet.finished([app.add.enqueue(1, 2)]) == [3]
    assert agent.poll() is None
