"""With RQ_KEY_PREFIX, rq and ours meet under that prefix (rq reads it once, at its import)."""

import os
import subprocess
import sys

import pytest
import redis

from support.server import RedisServer

PROGRAM = """
import redis
from rq import Queue
from rq.job import Job

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from reuse_queue.job import JobStatus, NewJob, Terms
from reuse_queue.serializer import serializer
from reuse_queue.settings import Settings
from support.site import ENV, Site, failed, finished

connection = Connection(Settings.from_env())
raw = redis.Redis.from_url(connection.settings.redis_url)
site, jobs = Site(connection, raw), JobQueue(connection.keys)
site.replica("r1")
stock = Queue(ENV, connection=raw, serializer="json")

data = serializer("json").pack("app.f", (), {})
ours = NewJob(id="ours", data=data, terms=Terms(description="app.f()"))
assert connection.run(jobs.enqueue(ENV, [ours])) == 1
theirs = stock.enqueue("app.f", job_id="theirs")
Queue("elsewhere", connection=raw, serializer="json").enqueue(
    "app.f", job_id="child", depends_on=theirs
)
assert stock.job_ids == ["ours", "theirs"]
assert Job.fetch("ours", connection=raw, serializer="json").func_name == "app.f"
assert connection.run(jobs.fetch("theirs")).task == "app.f"

one, two = site.claim()
site.finish(failed(one), finished(two, value=b"7"))
assert Job.fetch("theirs", connection=raw, serializer="json").return_value() == 7
assert connection.run(jobs.requeue(["ours"])) == [JobStatus.FAILED]
assert connection.run(jobs.cancel(["ours", "child"])) == [JobStatus.QUEUED] * 2
assert stock.canceled_job_registry.get_job_ids() == ["ours"]
assert connection.run(jobs.due(ENV)) == 0
connection.close()
raw.close()
"""


@pytest.mark.parametrize("prefix", ["prod", "{rq}"])
def test_both_sides_use_the_prefix_and_nothing_else(
    redis_server: RedisServer, raw: redis.Redis, prefix: str
) -> None:
    environ = os.environ | {
        "RQ_KEY_PREFIX": prefix,
        "REDIS_URL": redis_server.url,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    subprocess.run([sys.executable, "-c", PROGRAM], env=environ, check=True, timeout=25)

    keys = [str(key, "utf-8") for key in raw.keys("*")]  # type: ignore[arg-type]  # bytes
    assert f"{prefix}:job:theirs" in keys
    assert [k for k in keys if not k.startswith((f"{prefix}:", f"reuse:{prefix}:"))] == []
