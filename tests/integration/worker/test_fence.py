"""Redis goes away, or the lease does."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from rq.job import JobStatus

from integration.worker.conftest import KEYS, Lab
from reuse_queue.errors import RedisUnavailable
from reuse_queue.job import Claim
from reuse_queue.settings import Settings
from reuse_worker.exit_code import ExitCode
from support.eventually import eventually
from support.lacking import lacking
from support.server import RedisServer, programs

seen: list[str] = []
gate = threading.Event()
SHORT = timedelta(seconds=1.5)


@pytest.fixture(autouse=True)
def clean():
    seen.clear()
    gate.clear()


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, which keeps its data when it is killed."""
    found = programs()
    if not found:
        lacking("no Redis server here")
    made = RedisServer(next(iter(found.values())), append_only=True)
    yield made
    made.close()


async def passes_the_gate() -> str:
    seen.append("runs")
    try:
        await eventually(gate.is_set)
    finally:
        seen.append("ends")
    return "passed"


async def blocks_the_loop(seconds: float) -> str:
    seen.append("runs")
    time.sleep(seconds)  # noqa: ASYNC251  # that is the point
    return "done"


async def echo(number: int) -> int:
    return number


async def test_what_runs_goes_on_without_redis_and_is_recorded_when_it_is_back(
    server: RedisServer,
):
    with server.client() as raw:
        lab = Lab(raw, Settings(redis_url=server.url, host="testhost"))
        lab.serve(passes_the_gate, echo)
        async with lab.replica() as running:
            job = lab.enqueue(passes_the_gate)
            await eventually(lambda: seen == ["runs"])
            raw.config_set("appendfsync", "always")
            server.kill()
            gate.set()
            await eventually(lambda: seen == ["runs", "ends"])
            server.restart()
            await eventually(lambda: job.get_status() is JobStatus.FINISHED)
            after = lab.enqueue(echo, 7)
            await eventually(lambda: after.get_status() is JobStatus.FINISHED)
            assert not running.done
        assert job.return_value(refresh=True) == "passed"


async def test_a_replica_without_redis_for_two_thirds_of_its_lease_fences_itself(
    server: RedisServer,
):
    settings = Settings(redis_url=server.url, host="testhost", lease=SHORT, heartbeat=SHORT / 10)
    with server.client() as raw:
        lab = Lab(raw, settings)
        lab.serve(passes_the_gate)
        async with lab.replica() as running:
            lab.enqueue(passes_the_gate)
            await eventually(lambda: seen == ["runs"])
            began = time.monotonic()
            server.kill()
            assert await running.code() == ExitCode.FENCED
            assert time.monotonic() - began > 0.5
    assert seen == ["runs", "ends"]


async def test_a_replica_off_the_books_cancels_what_it_runs_and_records_nothing(lab: Lab):
    lab.settings = replace(lab.settings, heartbeat=timedelta(seconds=0.05))
    lab.serve(passes_the_gate)
    async with lab.replica() as running:
        job = lab.enqueue(passes_the_gate)
        await eventually(lambda: seen == ["runs"])
        lab.raw.zrem(KEYS.replicas("lab"), "r1")
        lab.raw.delete(KEYS.replica("lab", "r1"))
        assert await running.code() == ExitCode.FENCED
        assert running.board.read() == []
    assert seen == ["runs", "ends"]
    assert job.get_status() is JobStatus.STARTED


async def test_a_blocked_loop_is_no_reason_to_fence(lab: Lab):
    lab.settings = replace(lab.settings, lease=SHORT, heartbeat=SHORT / 100)
    lab.serve(blocks_the_loop, concurrency=1)
    async with lab.replica() as running:
        job = lab.enqueue(blocks_the_loop, 1.2)
        await eventually(lambda: job.get_status() is JobStatus.FINISHED)
        await running.daemon._heartbeat.renewed()
        assert not running.done


async def test_jobs_of_a_claim_whose_reply_was_lost_are_not_lost(lab: Lab):
    lab.serve(echo)
    async with lab.replica(ready=False) as running:
        claim = running.daemon._steps.claim
        lost: list[Claim] = []

        async def reply_lost(count: int, *, urgent_only: bool = False) -> Claim:
            lost.append(await claim(count, urgent_only=urgent_only))
            if lost[-1].jobs:
                running.daemon._steps.claim = claim  # type: ignore[method-assign]
                raise RedisUnavailable("the reply was lost")
            return lost[-1]

        running.daemon._steps.claim = reply_lost  # type: ignore[method-assign]
        jobs = [lab.enqueue(echo, number) for number in range(3)]
        await eventually(lambda: all(job.get_status() is JobStatus.FINISHED for job in jobs))
        assert lost[-1].jobs
        await eventually(lambda: lab.held() == 0)


async def test_outcomes_whose_recording_was_not_answered_are_recorded_once(lab: Lab):
    lab.serve(echo)
    async with lab.replica() as running:
        finish = running.daemon._steps.finish

        async def reply_lost(outcomes):
            running.daemon._steps.finish = finish  # type: ignore[method-assign]
            await finish(outcomes)
            raise RedisUnavailable("the reply was lost")

        running.daemon._steps.finish = reply_lost  # type: ignore[method-assign]
        job = lab.enqueue(echo, 5)
        await eventually(lambda: job.get_status() is JobStatus.FINISHED)
        await eventually(lambda: running.daemon._recorder.held() == [])
        assert len(job.results()) == 1
