import pytest
import redis

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.doctor import probe, supported
from reuse_queue.errors import UnsupportedRedis


def test_a_probe_tells_what_the_server_is_and_which_queues_it_has(
    raw: redis.Redis, connection: Connection
):
    raw.sadd("rq:queues", "rq:queue:emails", "rq:queue:empty")
    raw.rpush("rq:queue:emails", "a", "b")
    raw.set("reuse:leader", "token")
    info = raw.info()
    facts = connection.run(probe(connection.keys))
    assert facts.queues == {"emails": 2, "empty": 0}
    assert facts.leader
    assert not facts.append_only
    assert not facts.cluster
    assert facts.role == "master"
    assert facts.version == info.get("valkey_version", info["redis_version"])
    assert facts.product == ("Valkey" if "valkey_version" in info else "Redis")
    seconds, _ = raw.time()
    assert abs(facts.at.timestamp() - seconds) <= 1


async def test_a_probe_of_an_empty_server_runs_in_a_loop_too(aconnection: Connection):
    facts = await aconnection.arun(supported(aconnection.keys))
    assert facts.queues == {}
    assert facts.environments == ()
    assert not facts.leader


def test_a_server_that_evicts_jobs_is_refused(raw: redis.Redis, connection: Connection):
    raw.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(UnsupportedRedis, match="allkeys-lru"):
            connection.run(supported(connection.keys))
    finally:
        raw.config_set("maxmemory-policy", "noeviction")
    connection.run(supported(connection.keys))
