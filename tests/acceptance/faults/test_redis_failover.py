"""Sentinels replace the primary: the fleet follows, and whatever a replica had is done."""

from datetime import timedelta
from pathlib import Path

import pytest
import redis

from reuse_queue import RedisUnavailable
from support.certificates import certificate
from support.faulty_redis import fleet_at
from support.sentinels import watched

pytestmark = pytest.mark.timeout(120)
# Longer than a failover takes on a loaded machine.
LEASE = timedelta(seconds=20)


def test_the_fleet_follows_the_primary_and_finishes_every_job(tmp_path: Path):
    passwords = {"password": "pw", "sentinel_password": "own"}
    with watched(**passwords) as site, fleet_at(site.url, tmp_path, lease=LEASE) as fleet:
        app = fleet.write(replicas=(0, 3), concurrency=4)
        _, agent = fleet.serve()
        said = fleet.command("doctor")
        assert "No problem found" in said
        assert f"standby 127.0.0.1:{site.replica_port}" in said
        assert "pw" not in said
        with site.client(site.replica) as raw:
            raw.config_set("maxmemory-policy", "allkeys-lru")
            assert "must not take over" in fleet.command("doctor", code=1)
            raw.config_set("maxmemory-policy", "noeviction")
        held = app.wait.override(durability="replicated").enqueue_many([()] * 3)
        jobs = app.doze.override(durability="replicated").enqueue_many([(0.05,)] * 200)
        fleet.running(*held)
        fleet.until(lambda: fleet.snapshot().finished_total >= 20, "some work")
        site.primary.kill()
        # These end while there is no primary.
        fleet.open()
        site.failed_over()
        more = app.add.enqueue_many([(number, 1) for number in range(20)])
        fleet.finished([*held, *jobs])
        assert fleet.finished(more) == list(range(1, 21))
        assert {len(fleet.runs(job)) for job in held} == {1}
        assert agent.poll() is None


def test_a_primary_that_stood_still_is_a_replica_when_it_comes_back(tmp_path: Path):
    with watched() as site, fleet_at(site.url, tmp_path, lease=LEASE) as fleet:
        app = fleet.write(replicas=(0, 2), concurrency=4)
        fleet.serve()
        held = app.wait.override(durability="replicated").enqueue_many([()] * 3)
        fleet.running(*held)
        site.primary.pause()
        site.failed_over()
        # Whoever comes now: connections that were there before wait for the one that stands still.
        fleet.reconnect()
        fleet.open()
        more = app.add.enqueue_many([(number, 1) for number in range(20)])
        assert fleet.finished(more) == list(range(1, 21))
        fleet.finished(held)
        site.primary.go_on()

        def follows() -> bool:
            try:
                with site.client(site.primary) as raw:
                    return bool(raw.info("replication")["role"] == "slave")
            except redis.ConnectionError:
                return False  # the sentinels cut everybody off as they give it its new place

        fleet.until(follows, "its new place", within=30)
        fleet.reconnect()
        assert fleet.finished([app.add.enqueue(1, 2)]) == [3]


def test_behind_sentinels_that_speak_tls_alone_the_fleet_follows_as_well(tmp_path: Path):
    made = certificate(tmp_path)
    with watched(tls=made) as site, fleet_at(site.url, tmp_path, lease=LEASE) as fleet:
        assert site.url.startswith("rediss+sentinel://")
        app = fleet.write(replicas=(0, 2), concurrency=4)
        fleet.serve()
        assert "No problem found" in fleet.command("doctor")
        held = app.wait.override(durability="replicated").enqueue_many([()] * 3)
        fleet.running(*held)
        site.primary.kill()
        site.failed_over()
        fleet.open()
        fleet.finished(held)
        assert fleet.finished([app.add.enqueue(1, 2)]) == [3]
        assert {len(fleet.runs(job)) for job in held} == {1}
        # Whoever is not told whose certificate to trust gets no further than the sentinels.
        app.env.bind(site.url.partition("?")[0])
        with pytest.raises(RedisUnavailable, match="do you trust their certificate"):
            app.add.enqueue(1, 2)
        app.env.connection.close()
