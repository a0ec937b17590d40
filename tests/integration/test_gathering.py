"""gather, agather and enqueue_and_wait, on a real Redis; the replica is played by a thread."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import pytest
import redis

from reuse_queue import (
    JobCanceled,
    JobHandle,
    RedisUnavailable,
    ResultTimeout,
    TaskEnvironment,
    TaskFailed,
    agather,
    gather,
)
from reuse_queue.broker.connection import Connection
from reuse_queue.job import ClaimedJob, Outcome
from reuse_queue.settings import Settings
from support.eventually import eventually, eventually_sync
from support.played import played
from support.site import ENV, Site, failed, finished

env = TaskEnvironment(ENV)
same = TaskEnvironment(ENV)  # over a connection of its own
LONG_S = 20.0


@env.task
async def double(number: int) -> int:
    return 2 * number


@same.task
def spell(number: int) -> str:
    return str(number)


@pytest.fixture
def site(connection: Connection, raw: redis.Redis, settings: Settings) -> Iterator[Site]:
    env.bind(connection)
    same.bind(settings)
    made = Site(connection, raw)
    made.replica("r1")
    yield made
    same.connection.close()
    env._redis = same._redis = None


def run(job: ClaimedJob) -> Outcome | None:
    """Run it; it fails for 13, and goes on for ever for 99."""
    name, (number,), _ = env.serializer.unpack(job.data)
    if number == 99:
        return None
    if number == 13:
        return failed(job, "Traceback …\nValueError: 13 is unlucky")
    return finished(job, f'"{number}"'.encode() if name == spell.name else b"%d" % (2 * number))


def backwards(jobs: Sequence[ClaimedJob]) -> list[Outcome]:
    return [outcome for job in reversed(jobs) if (outcome := run(job))]


def agathered(*handles: JobHandle[Any], **how: Any) -> tuple[Any, ...]:
    return asyncio.run(agather(*handles, **how))


both = pytest.mark.parametrize("gather", [gather, agathered])
Gather = Callable[..., tuple[Any, ...]]


@both
def test_results_of_tasks_of_any_environments_come_in_the_order_of_the_handles(
    site: Site, gather: Gather
):
    handles: list[JobHandle[Any]] = [double.enqueue(1), spell.enqueue(2), double.enqueue(3)]
    known_by_id = env.handle(handles[0].id)
    with played(site, backwards):
        assert gather(*handles, known_by_id, handles[1]) == (2, "2", 6, 2, "2")
        assert gather(*handles) == (2, "2", 6)
        assert gather() == ()


@both
def test_a_thousand_jobs_are_awaited_over_one_connection_by_one_listener(
    site: Site, gather: Gather
):
    handles = double.enqueue_many((n,) for n in range(100, 1100))
    connected = site.raw.info("clients")["connected_clients"]
    threads = threading.active_count()
    most: list[tuple[int, int]] = []

    def watched(jobs: Sequence[ClaimedJob]) -> list[Outcome]:
        now = site.raw.info("clients")["connected_clients"] - connected
        most.append((now, threading.active_count() - threads))
        return backwards(jobs)

    site.raw.config_resetstat()
    with played(site, watched):
        assert gather(*handles) == tuple(range(200, 2200, 2))
    # Besides the player's own: one that asks and one that listens.
    assert max(most)[0] <= 3
    assert max(threads for _, threads in most) <= 2
    assert site.raw.info("commandstats")["cmdstat_blmpop"]["calls"] < 200


@both
def test_the_first_failure_cancels_the_others(site: Site, gather: Gather):
    queued = double.enqueue_many([(99,)] * 3)
    unlucky = double.enqueue(13)
    with (
        played(site, backwards),
        pytest.raises(TaskFailed, match="ValueError: 13 is unlucky") as error,
    ):
        gather(*queued, unlucky)
    assert error.value.job_id == unlucky.id
    # They run, and are told to stop.
    assert site.raw.scard(site.keys.cancels(ENV, "r1")) == 3


@both
def test_failures_are_among_the_results_where_that_is_asked_for(site: Site, gather: Gather):
    handles = double.enqueue_many([(1,), (13,), (99,)])
    handles[2].cancel()
    with played(site, backwards):
        two, error, gone = gather(*handles, return_exceptions=True)
    assert two == 2
    assert isinstance(error, TaskFailed)
    assert isinstance(gone, JobCanceled)
    assert site.status(handles[0].id) == "finished"


@both
def test_what_takes_too_long_is_canceled(site: Site, gather: Gather):
    handles = [*double.enqueue_many([(1,), (2,)]), spell.enqueue(3)]
    with pytest.raises(ResultTimeout, match=r"3 of 3 jobs had not ended within 0\.05 s"):
        gather(*handles, timeout=0.05)
    assert set(site.registry("canceled")) == {each.id for each in handles}


@both
def test_a_look_at_jobs_that_have_ended_needs_no_time(site: Site, gather: Gather):
    handles = double.enqueue_many([(1,), (2,)])
    site.finish(*backwards(site.claim()))
    assert gather(*handles, timeout=0) == (2, 4)


@both
def test_whoever_waits_hears_that_redis_is_gone(site: Site, gather: Gather):
    handle = double.enqueue(1)

    over = threading.Event()

    def cut() -> None:
        # Whoever was waiting before may still be there: until this one has heard of it.
        while not over.is_set():
            for each in site.raw.client_list():
                if "b" in each["flags"]:
                    site.raw.client_kill_filter(_id=each["id"])

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        with pytest.raises(RedisUnavailable):
            gather(handle, return_exceptions=True)
    finally:
        over.set()
        cutter.join()
    assert site.status(handle.id) == "canceled"


async def test_who_is_canceled_while_it_gathers_cancels_the_jobs(site: Site):
    handles = [*await double.aenqueue_many([(1,), (2,)]), await spell.aenqueue(3)]
    gathering = asyncio.create_task(agather(*handles))
    await eventually(lambda: site.raw.info("clients")["blocked_clients"] == 2)
    gathering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathering
    assert set(site.registry("canceled")) == {each.id for each in handles}
    await eventually(lambda: site.raw.info("clients")["blocked_clients"] == 0)
    assert len(asyncio.all_tasks()) == 1
    await env.connection.aclose()
    await same.connection.aclose()


async def test_what_is_no_handle_is_named(site: Site):
    handle = await double.aenqueue(1)
    unawaited: list[Coroutine[Any, Any, Any]] = [double.aenqueue(1), double.aenqueue(2)]
    with pytest.raises(TypeError, match="argument 2 is a coroutine; await it first: the handle"):
        await agather(handle, *unawaited)
    with pytest.raises(TypeError, match=r"argument 1 is a list; write gather\(\*handles\)"):
        gather([handle])  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"takes handles of jobs, and argument 2 is a int$"):
        gather(handle, 5)  # type: ignore[call-overload]
    await env.connection.aclose()


async def test_a_call_is_enqueued_and_waited_for(site: Site):
    with played(site, backwards):
        assert await asyncio.to_thread(double.enqueue_and_wait, 4) == 8
        assert await double.aenqueue_and_wait(5) == 10
        calls = [double.aenqueue_and_wait(number) for number in range(100, 600)]
        assert await asyncio.gather(*calls) == list(range(200, 1200, 2))
        with pytest.raises(TaskFailed):
            await double.aenqueue_and_wait(13)
    await env.connection.aclose()


async def test_a_call_that_is_not_waited_for_any_more_is_canceled(site: Site):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await double.aenqueue_and_wait(1)
    assert len(site.registry("canceled")) == 1
    assert site.queue() == []
    await env.connection.aclose()


def test_a_call_whose_end_cannot_be_heard_of_is_canceled(site: Site):
    errors: list[Exception] = []

    def wait() -> None:
        try:
            double.enqueue_and_wait(1)
        except RedisUnavailable as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    eventually_sync(lambda: site.raw.info("clients")["blocked_clients"] == 1)
    site.raw.client_kill_filter(_type="normal", skipme=True)
    waiter.join(LONG_S)
    assert len(errors) == 1
    assert len(site.registry("canceled")) == 1
