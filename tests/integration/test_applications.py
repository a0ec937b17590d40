"""What applications do, on a real Redis; the replica is played by hand."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis

from reuse_queue import (
    JobCanceled,
    JobNotFound,
    JobStatus,
    RedisUnavailable,
    ResultTimeout,
    Settings,
    TaskEnvironment,
    TaskFailed,
)
from reuse_queue.broker.connection import Connection
from support.eventually import eventually
from support.sample import Label
from support.server import RedisServer, programs
from support.site import ENV, Site, canceled, failed, finished

env = TaskEnvironment(ENV, description="the environment that Site plays the replica of")


@env.task(retries=1, backoff=None)
async def classify(path: str) -> Label:
    return Label(path)


@pytest.fixture
def site(connection: Connection, raw: redis.Redis) -> Iterator[Site]:
    env.bind(connection)
    made = Site(connection, raw)
    made.replica("r1")
    yield made
    env._redis = None


def test_the_first_jobs_of_a_process_announce_their_environment(site: Site):
    site.raw.delete(site.keys.environment(ENV))
    classify.enqueue("a.png")
    record = site.raw.hgetall(site.keys.environment(ENV))
    assert json.loads(record[b"tasks"]) == [classify.name]
    assert (record[b"by"], record[b"serializer"]) == (b"application", b"json")
    site.raw.hdel(site.keys.environment(ENV), "by")
    classify.enqueue("b.png")
    assert not site.raw.hexists(site.keys.environment(ENV), "by")


def test_a_result_comes_back_as_what_the_task_returned(site: Site):
    handle = classify.enqueue("a.png")
    assert handle.status() is JobStatus.QUEUED
    with pytest.raises(ResultTimeout):
        handle.result(timeout=0)
    (job,) = site.claim()
    assert env.serializer.unpack(job.data) == (classify.name, ("a.png",), {})
    site.finish(finished(job, b'{"name": "cat", "score": 0.5}'))
    assert handle.result(timeout=0) == Label("cat", 0.5)
    assert env.handle(handle.id).result(timeout=0) == Label("cat", 0.5)
    assert handle.status() is JobStatus.FINISHED
    assert handle.cancel() is False


def test_a_waiting_caller_hears_of_the_end_at_once(site: Site):
    handle = classify.enqueue("a.png")
    (job,) = site.claim()
    end = threading.Timer(0.05, site.finish, [finished(job, b'{"name": "cat"}')])
    end.start()
    assert handle.result(timeout=20) == Label("cat")
    end.join()


async def test_coroutines_wait_side_by_side(site: Site):
    handles = await classify.aenqueue_many([(str(n),) for n in range(20)])
    waiting = asyncio.gather(*handles)
    await eventually(lambda: site.raw.info("clients")["blocked_clients"] == 1, what="a wait")
    await eventually(
        lambda: all(site.raw.hexists(site.keys.job(each.id), "reuse_awaited") for each in handles),
        what="all are awaited",
    )
    for number, job in enumerate(site.claim(count=20)):
        site.finish(finished(job, json.dumps({"name": str(number)}).encode()))
    assert await waiting == [Label(str(n)) for n in range(20)]
    await env.connection.aclose()


def test_a_failure_is_raised_only_when_no_retry_is_left(site: Site):
    handle = classify.enqueue("a.png")
    site.finish(failed(site.claim()[0], "ValueError: first"))
    with pytest.raises(ResultTimeout):
        handle.result(timeout=0)
    site.finish(failed(site.claim()[0], "Traceback\nValueError: second"))
    with pytest.raises(TaskFailed, match="ValueError: second"):
        handle.result(timeout=0)


def test_a_canceled_job_says_so_queued_or_running(site: Site):
    queued, running = classify.enqueue_many([("a.png",), ("b.png",)])
    assert queued.cancel() is True
    with pytest.raises(JobCanceled):
        queued.result(timeout=0)
    (job,) = site.claim()
    assert running.cancel() is True
    assert running.status() is JobStatus.STARTED
    site.finish(canceled(job))
    with pytest.raises(JobCanceled):
        running.result(timeout=0)


def test_a_job_that_has_expired_is_not_found(site: Site):
    handle = classify.override(result_ttl=0).enqueue("a.png")
    site.finish(finished(site.claim()[0]))
    with pytest.raises(JobNotFound):
        handle.result()
    with pytest.raises(JobNotFound):
        classify.handle("never-was").status()


def test_priority_and_delay_are_kept(site: Site):
    first = classify.enqueue("a.png")
    urgent = classify.override(priority="high").enqueue("b.png")
    later = classify.override(delay=3600).enqueue("c.png")
    assert later.status() is JobStatus.SCHEDULED
    assert [job.id for job in site.claim()] == [urgent.id, first.id]
    due = later.job().due_at
    created = later.job().created_at
    assert due is not None
    assert created is not None
    assert timedelta(seconds=3590) < due - created < timedelta(seconds=3610)


def test_thousands_of_jobs_are_written_in_their_order(site: Site):
    handles = classify.enqueue_many((str(n),) for n in range(2500))
    assert site.queue() == [handle.id for handle in handles]


def test_a_redis_that_is_away_is_an_error_at_once_and_nothing_hangs():
    env.bind("redis://localhost:1")
    with pytest.raises(RedisUnavailable, match="redis://localhost:1 cannot be reached"):
        classify.enqueue("a.png")
    with pytest.raises(RedisUnavailable):
        classify.handle("7f").result()


@pytest.mark.usefixtures("raw")
def test_patience_waits_for_a_redis_that_comes_back():
    server = RedisServer(next(iter(programs().values())))
    env.bind(Settings(redis_url=server.url), patience=20)
    try:
        before = classify.enqueue("a.png")
        server.kill()
        back = threading.Timer(0.2, server.restart)
        back.start()
        after = classify.enqueue("b.png")
        back.join()
        assert after.status() is JobStatus.QUEUED
        with pytest.raises(JobNotFound):
            before.status()  # this server keeps nothing
    finally:
        env.connection.close()
        server.close()
