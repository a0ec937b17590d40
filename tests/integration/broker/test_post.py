"""ending and aending: callers hear of the ends of many jobs by mail, over one connection."""

import asyncio
import json
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from reuse_queue import JobStatus, RedisUnavailable
from reuse_queue.broker import mail
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.post import Post
from reuse_queue.broker.queue import JobQueue
from reuse_queue.job import Ending, Verdict
from support.eventually import eventually, eventually_sync
from support.site import ENV, STAMP, Site, canceled, failed, finished, outcome

LONG_S = 20.0


@pytest.fixture
def by_mail_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody look for ends that no mail tells of."""
    monkeypatch.setattr(mail, "_FIRST_LOOK_S", 1000.0)


def many(site: Site, start: str, count: int) -> list[str]:
    ids = [f"{start}{n}" for n in range(count)]
    fields = {"data": "payload", "status": "queued", "origin": ENV, "enqueued_at": STAMP}
    with site.raw.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hset(site.keys.job(job_id), mapping=fields)
        pipe.rpush(site.keys.queue(ENV), *ids)
        pipe.execute()
    return ids


def finish_all(site: Site) -> None:
    """Play the replica: each job's value is its id."""
    while jobs := site.claim(count=500):
        site.finish(*(finished(job, json.dumps(job.id).encode()) for job in jobs))


def commands(site: Site) -> int:
    """Return how many commands the server has run, those of scripts included."""
    stats = site.raw.info("commandstats")
    return sum(each["calls"] for each in stats.values())


def blocked(site: Site) -> int:
    return int(site.raw.info("clients")["blocked_clients"])


def value(ending: Ending) -> object:
    status, record = ending
    assert status is JobStatus.FINISHED
    assert record is not None
    assert record.value is not None
    return json.loads(record.value)


def waited(site: Site, job_id: str) -> Future[Ending]:
    """Wait for a job in a thread; return when the server knows of it."""
    got: Future[Ending] = Future()

    def wait() -> None:
        try:
            got.set_result(Post(site.connection).ending(job_id, LONG_S))
        except RedisUnavailable as error:
            got.set_exception(error)

    threading.Thread(target=wait).start()
    eventually_sync(lambda: site.raw.hexists(site.keys.job(job_id), "reuse_awaited"))
    return got


def test_a_connection_that_is_closed_under_a_listener_leaves_none_open(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(site, "a", 1)
    # Those of earlier tests may look for a Redis that is gone for as long as their patience lasts.
    earlier = listening()
    between, closed = threading.Event(), threading.Event()
    goes_on = Post._goes_on

    def paused(self: Post, *args: Any, **options: Any) -> bool:
        found = goes_on(self, *args, **options)
        if self is post and threading.current_thread().name == "reuse-queue-results":
            between.set()
            closed.wait(10)
        return found

    monkeypatch.setattr(Post, "_goes_on", paused)
    before = names(site)
    connection = Connection(site.connection.settings)
    post = Post(connection)
    post.ending("a0", 0.01)
    assert between.wait(10)
    connection.close()
    closed.set()

    eventually_sync(lambda: listening() <= earlier and names(site) <= before, what="all are closed")


def test_a_connection_that_is_closed_before_its_listener_begins_stays_closed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(site, "a", 1)
    earlier = listening()
    closed = threading.Event()
    begin = Post._listening

    def late(self: Post, *args: Any) -> None:
        closed.wait(10)
        begin(self, *args)

    monkeypatch.setattr(Post, "_listening", late)
    before = names(site)
    connection = Connection(site.connection.settings)
    Post(connection).ending("a0", 0.01)
    connection.close()
    closed.set()

    eventually_sync(lambda: listening() <= earlier and names(site) <= before, what="all are closed")


def names(site: Site) -> set[str]:
    return {str(each["id"]) for each in site.raw.client_list()}


def listening() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == "reuse-queue-results"}


@pytest.mark.usefixtures("by_mail_alone")
async def test_ten_thousand_jobs_cost_one_connection_and_a_few_commands_each(
    site: Site, aconnection: Connection
) -> None:
    many(site, "alone", 1000)
    site.raw.config_resetstat()
    finish_all(site)
    unawaited = commands(site) / 1000

    ids = many(site, "a", 10_000)
    before = site.raw.info("clients")["connected_clients"]
    site.raw.config_resetstat()
    post = Post(aconnection)
    waits = asyncio.gather(*(post.aending(job_id, None) for job_id in ids))
    await eventually(lambda: blocked(site) == 1)
    # An earlier test's connection may end meanwhile.
    assert site.raw.info("clients")["connected_clients"] <= before + 1

    await asyncio.to_thread(finish_all, site)

    assert [value(ending) for ending in await waits] == ids
    assert commands(site) / len(ids) - unawaited < 6
    assert blocked(site) == 0
    assert not site.raw.keys("reuse:mail:*")


def test_nothing_is_written_for_jobs_that_nobody_awaits(site: Site) -> None:
    many(site, "a", 10)
    site.raw.config_resetstat()
    finish_all(site)
    assert not {"cmdstat_rpush", "cmdstat_hdel"} & site.raw.info("commandstats").keys()


def _canceled_and_released(site: Site) -> None:
    (job,) = site.claim()
    site.connection.run(JobQueue(site.keys).cancel(["a"]))
    site.connection.run(site.leases.release("r1", [job.execution]))


def _expired(site: Site) -> None:
    site.raw.hset(site.keys.job("a"), "reuse_by", "1,")
    site.raw.zadd(site.keys.limits(ENV), {"a": 1})
    site.connection.run(JobQueue(site.keys).due(ENV))


def _lost(site: Site) -> None:
    site.raw.hset(site.keys.job("a"), "reuse_once", "1")
    site.claim()
    site.raw.zadd(site.keys.replicas(ENV), {"r1": 1})
    site.connection.run(site.leases.reclaim(10))


ENDS: dict[str, tuple[Callable[[Site], object], JobStatus | None]] = {
    "finished": (lambda site: site.finish(finished(site.claim()[0])), JobStatus.FINISHED),
    "failed": (lambda site: site.finish(failed(site.claim()[0])), JobStatus.FAILED),
    "stopped": (
        lambda site: site.finish(outcome(site.claim()[0], Verdict.STOPPED, error="no")),
        JobStatus.STOPPED,
    ),
    "canceled while it ran": (
        lambda site: site.finish(canceled(site.claim()[0])),
        JobStatus.CANCELED,
    ),
    "canceled while it waited": (
        lambda site: site.connection.run(JobQueue(site.keys).cancel(["a"])),
        JobStatus.CANCELED,
    ),
    "canceled and given back": (_canceled_and_released, JobStatus.CANCELED),
    "not kept": (
        lambda site: site.finish(finished(site.claim()[0], result_ttl=timedelta(0))),
        None,
    ),
    "killed": (
        lambda site: site.end("r1", {site.claim()[0].execution: Verdict.FAILED}),
        JobStatus.FAILED,
    ),
    "expired": (_expired, JobStatus.FAILED),
    "lost": (_lost, JobStatus.FAILED),
}


@pytest.mark.usefixtures("by_mail_alone")
@pytest.mark.parametrize("how", ENDS)
def test_mail_tells_of_every_way_to_end(site: Site, how: str) -> None:
    end, status = ENDS[how]
    site.enqueue("a")
    got = waited(site, "a")
    end(site)
    assert got.result(LONG_S)[0] is status
    assert not site.raw.hexists(site.keys.job("a"), "reuse_awaited")


@pytest.mark.usefixtures("by_mail_alone")
def test_a_try_that_failed_is_no_end(site: Site) -> None:
    site.enqueue("a", retries_left=1, reuse_losses=0)
    got = waited(site, "a")
    site.finish(failed(site.claim()[0]))
    site.claim()
    site.end("r1", {})
    assert site.status("a") == "queued"
    site.replica("r2")
    site.finish(finished(site.claim("r2")[0], b'"third"'), name="r2")
    assert value(got.result(LONG_S)) == "third"


def test_ends_that_rqs_own_workers_write_are_found(site: Site) -> None:
    site.enqueue("a")
    got = waited(site, "a")
    site.raw.xadd(site.keys.results("a"), {"type": "1", "return_value": "NDI="})
    site.raw.hset(site.keys.job("a"), "status", "finished")
    assert value(got.result(LONG_S)) == 42


def test_each_of_many_threads_and_loops_gets_its_own_result(site: Site) -> None:
    ids = many(site, "a", 90)
    random.shuffle(ids)
    post = Post(site.connection)

    async def together(part: list[str]) -> list[object]:
        return [value(each) for each in await asyncio.gather(*(_aended(each) for each in part))]

    async def _aended(job_id: str) -> Ending:
        return await post.aending(job_id, LONG_S)

    with ThreadPoolExecutor(45) as pool:
        loops = [pool.submit(asyncio.run, together(ids[at : at + 20])) for at in (0, 20, 40)]
        # Two threads for each of the others, and for those that the first loop awaits.
        alone = [pool.submit(post.ending, each, LONG_S) for each in ids[60:] + ids[60:70]]
        eventually_sync(lambda: blocked(site) == 4)
        assert len(site.raw.client_list(_type="normal")) < 60
        finish_all(site)
        assert [each for loop in loops for each in loop.result()] == ids[:60]
        assert [value(each.result()) for each in alone] == ids[60:] + ids[60:70]


async def test_who_gives_up_leaves_nothing_behind(site: Site, aconnection: Connection) -> None:
    site.enqueue("a", "b")
    post = Post(aconnection)
    given_up = asyncio.create_task(post.aending("a", None))
    await eventually(lambda: blocked(site) == 1)
    assert await post.aending("b", 0.05) == (JobStatus.QUEUED, None)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await eventually(lambda: blocked(site) == 0)
    assert len(asyncio.all_tasks()) == 1

    again = asyncio.create_task(post.aending("a", None))
    await eventually(lambda: blocked(site) == 1)
    finish_all(site)
    assert value(await again) == "a"


def test_mail_that_nobody_takes_does_not_last(site: Site) -> None:
    box = mail.Mailbox(site.keys)
    site.enqueue("a", "b")
    for job_id in ("a", "b"):
        box.add(job_id, Future())
    site.connection.run(box.ask(["a", "b"]))
    a, b = site.claim()
    site.finish(finished(a))
    (key,) = site.raw.keys("reuse:mail:*")
    assert 0 < site.raw.ttl(key) <= 60
    site.raw.expire(key, 30)
    site.finish(finished(b))
    assert site.raw.lrange(key, 0, -1) == [b"a", b"b"]
    assert site.raw.ttl(key) <= 30


def test_of_very_many_who_await_a_job_the_latest_are_told(site: Site) -> None:
    site.enqueue("a")
    boxes = [mail.Mailbox(site.keys) for _ in range(25)]
    for box in (*boxes, boxes[-1]):
        box.add("a", Future())
        site.connection.run(box.ask(["a"]))
    names = site.job("a")["reuse_awaited"].split()
    assert len(names) == len(set(names)) == 20
    finish_all(site)
    assert len(site.raw.keys("reuse:mail:*")) == 20


def test_a_mailbox_of_the_wrong_type_keeps_nobody_from_ending(site: Site) -> None:
    site.enqueue("a", reuse_awaited="reuse:mail:0a rq:queue:other")
    site.raw.set("reuse:mail:0a", "1")
    finish_all(site)
    assert site.status("a") == "finished"
    assert not site.raw.exists("rq:queue:other")


def test_those_who_wait_hear_that_redis_is_gone(site: Site) -> None:
    site.enqueue("a")
    got = waited(site, "a")
    eventually_sync(lambda: blocked(site) == 1)
    site.raw.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(RedisUnavailable):
        got.result(LONG_S)


def test_a_forked_child_waits_for_itself(site: Site) -> None:
    site.enqueue("a", "b")
    post = Post(site.connection)
    with ThreadPoolExecutor(1) as pool:
        mine = pool.submit(post.ending, "a", LONG_S)
        eventually_sync(lambda: blocked(site) == 1)
        if (child := os.fork()) == 0:
            try:
                os._exit(0 if value(post.ending("b", LONG_S)) == "b" else 1)
            finally:
                os._exit(2)
        eventually_sync(lambda: blocked(site) == 2)
        finish_all(site)
        assert os.waitpid(child, 0) == (child, 0)
        assert value(mine.result()) == "a"
