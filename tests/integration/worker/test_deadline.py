"""A job's deadline, as the replica that runs it keeps it."""

import asyncio
import time
import uuid
from datetime import timedelta

import pytest
from rq.job import Job, JobStatus

from integration.worker.conftest import KEYS, Lab, name_of
from reuse_queue.board import Overdue
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from reuse_queue.job import NewJob, Terms
from reuse_queue.serializer import serializer
from support.eventually import eventually

seen: list[str] = []
SOON = timedelta(seconds=0.4)
LONG = timedelta(hours=1)


@pytest.fixture(autouse=True)
def clean():
    seen.clear()


async def stays(name: str = "stays") -> None:
    seen.append(name)
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        seen.append("cleaned up")


def naps_here() -> None:
    time.sleep(0.01)


async def enqueue(lab: Lab, task, *args, **options) -> Job:
    """Enqueue as our own library does."""
    job = NewJob(
        id=uuid.uuid4().hex,
        data=serializer("json").pack(name_of(task), args, {}),
        terms=Terms(description="", retries=3, **options),
    )
    connection = Connection(lab.settings)
    await connection.arun(JobQueue(KEYS).enqueue("lab", [job]))
    await connection.aclose()
    return Job.fetch(job.id, connection=lab.raw, serializer="json")


def error_of(job: Job) -> str:
    result = job.latest_result()
    assert result is not None
    return str(result.exc_string)


async def test_a_coroutine_is_ended_at_its_deadline_for_good_and_cleans_up_first(lab: Lab):
    lab.serve(stays)
    async with lab.replica():
        job = await enqueue(lab, stays, deadline=SOON)
        await eventually(lambda: job.get_status() is JobStatus.FAILED)
        assert seen == ["stays", "cleaned up"]
        text = error_of(job)
        assert "asyncio.Event().wait()" in text
        assert text.strip().splitlines()[-1] == (
            f"reuse_queue.errors.DeadlinePassed: job {job.id} had not ended by its deadline"
        )


async def test_whichever_is_over_first_counts(lab: Lab):
    lab.serve(stays)
    async with lab.replica() as replica:
        limits = {"timeout": timedelta(seconds=100), "deadline": LONG}
        await enqueue(lab, stays, **limits)
        [slot] = await eventually(replica.board.read)
        assert slot.meaning is Overdue.TIMEOUT
        await enqueue(lab, stays, **{**limits, "timeout": 2 * LONG})
        await eventually(
            lambda: (
                {each.meaning for each in replica.board.read()}
                == {Overdue.TIMEOUT, Overdue.DEADLINE}
            )
        )


async def test_a_sync_job_is_shown_overdue_from_its_deadline_on(lab: Lab):
    lab.serve(naps_here, concurrency=1)
    async with lab.replica() as replica:
        slots = []
        put = replica.board.put

        def noted(execution: str, *limit) -> int:
            slots.append(limit)
            return put(execution, *limit)

        replica.board.put = noted  # type: ignore[assignment,method-assign]
        job = await enqueue(lab, naps_here, deadline=LONG)
        await eventually(lambda: job.get_status() is JobStatus.FINISHED)
        [(deadline, meaning)] = slots
        assert meaning is Overdue.DEADLINE
        assert deadline == pytest.approx(time.monotonic() + 3600, abs=20)
