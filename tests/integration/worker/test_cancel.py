"""Cancel orders, wherever the job is."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rq.command import send_stop_execution_command, send_stop_job_command
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry
from rq.results import Result

from integration.worker.conftest import KEYS, Lab
from reuse_queue.board import Overdue
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from support.eventually import eventually

seen: list[str] = []
gate = threading.Event()


@pytest.fixture(autouse=True)
def clean():
    seen.clear()
    gate.clear()


async def stays(how: str = "") -> str:
    seen.append("stays")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if how == "returns":
            return "what there was"
        if how == "raises":
            raise ValueError("while cleaning up") from None
        raise
    finally:
        seen.append("cleaned up")
    return ""


async def ignores_its_cancel() -> None:
    seen.append("stays")
    while not gate.is_set():
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            seen.append("ignored")


def blocks(number: int) -> None:
    seen.append(f"blocks {number}")
    gate.wait(20)


async def cancel(lab: Lab, job: Job) -> None:
    connection = Connection(lab.settings)
    await connection.arun(JobQueue(KEYS).cancel([job.id]))
    await connection.aclose()


async def test_a_canceled_coroutine_has_cleaned_up_before_it_is_recorded(lab: Lab):
    lab.settings = replace(lab.settings, heartbeat=timedelta(seconds=10))
    lab.serve(stays)
    async with lab.replica() as running:
        job = lab.enqueue(stays)
        await eventually(lambda: seen)
        # The order is heard at once: the next heartbeat would be seconds away.
        await cancel(lab, job)
        await eventually(lambda: job.get_status() is JobStatus.CANCELED, within=5)
        assert seen == ["stays", "cleaned up"]
        job.refresh()
        assert job.started_at < job.ended_at
        assert running.board.read() == []
        await eventually(lambda: lab.held() == 0)


async def test_a_coroutine_that_raises_when_it_is_canceled_is_canceled(lab: Lab):
    lab.serve(stays)
    async with lab.replica():
        job = lab.enqueue(stays, "raises")
        await eventually(lambda: seen)
        await cancel(lab, job)
        await eventually(lambda: job.get_status() is JobStatus.CANCELED)


async def test_a_coroutine_that_returns_although_it_is_canceled_has_finished(lab: Lab):
    lab.serve(stays)
    async with lab.replica():
        job = lab.enqueue(stays, "returns")
        await eventually(lambda: seen)
        await cancel(lab, job)
        await eventually(lambda: job.get_status() is JobStatus.FINISHED)
    assert job.return_value(refresh=True) == "what there was"


@pytest.mark.parametrize("task", [ignores_its_cancel, blocks])
async def test_a_job_that_ignores_its_cancel_is_shown_overdue(lab: Lab, task):
    lab.serve(task, concurrency=1)
    async with lab.replica() as running:
        job = lab.enqueue(task, *([0] if task is blocks else []))
        [slot] = await eventually(running.board.read)
        assert slot.meaning is Overdue.TIMEOUT
        await cancel(lab, job)
        await eventually(lambda: running.board.read()[0].meaning is Overdue.CANCELED)
        [late] = running.board.read()
        assert late.execution == slot.execution
        assert late.deadline <= asyncio.get_running_loop().time() + 2
        assert job.get_status() is JobStatus.STARTED
        gate.set()
        await eventually(lambda: running.board.read() == [])


async def test_a_sync_job_that_only_waits_for_the_thread_is_canceled_without_running(lab: Lab):
    lab.serve(blocks, concurrency=1)
    async with lab.replica() as running:
        slots = running.daemon._slots
        lab.enqueue(blocks, 0)
        await eventually(lambda: seen == ["blocks 0"])
        # As if they had been claimed ahead: two more are handed to the thread.
        claim = await running.daemon._steps.claim(2)
        assert claim.jobs == ()
        one, other = lab.enqueue(blocks, 1), lab.enqueue(blocks, 2)
        slots.take((await running.daemon._steps.claim(2)).jobs)
        assert slots.ahead == 2
        await cancel(lab, one)
        await eventually(lambda: one.get_status() is JobStatus.CANCELED)
        gate.set()
        await eventually(lambda: other.get_status() is JobStatus.FINISHED)
    assert seen == ["blocks 0", "blocks 2"]


async def test_a_coroutine_job_that_waits_for_a_slot_is_canceled_without_running(lab: Lab):
    lab.serve(ignores_its_cancel, stays, concurrency=1)
    async with lab.replica() as running:
        lab.enqueue(ignores_its_cancel)
        await eventually(lambda: seen == ["stays"])
        job = lab.enqueue(stays)
        running.daemon._slots.take((await running.daemon._steps.claim(1)).jobs)
        await cancel(lab, job)
        await eventually(lambda: job.get_status() is JobStatus.CANCELED)
        assert seen == ["stays"]
        gate.set()


@pytest.mark.parametrize("by", ["job", "execution"])
async def test_rqs_own_command_stops_a_coroutine_as_rq_would(lab: Lab, by: str):
    lab.serve(stays)
    async with lab.replica() as running:
        job, beside = lab.enqueue(stays), lab.enqueue(stays)
        await eventually(lambda: len(running.board.read()) == 2)
        if by == "job":
            send_stop_job_command(lab.raw, job.id, serializer="json")
        else:
            [execution] = job.get_executions()
            send_stop_execution_command(lab.raw, job.id, execution.id)
        await eventually(lambda: job.is_stopped)
        assert seen == ["stays", "stays", "cleaned up"]
        assert job.id in FailedJobRegistry("lab", connection=lab.raw, serializer="json")
        result = job.latest_result()
        assert result is not None
        assert result.type is Result.Type.FAILED
        assert result.exc_string == "The job was stopped by a command while it ran."
        assert beside.get_status() is JobStatus.STARTED
        await eventually(lambda: len(running.board.read()) == 1)
        # Another job's id, or nonsense, stops nothing.
        for message in (
            '{"command": "stop-job", "job_id": "other"}',
            '{"command": "stop-job"}',
            "x",
        ):
            lab.raw.publish(KEYS.replica_channel("r1"), message)
        await cancel(lab, beside)
        await eventually(lambda: beside.get_status() is JobStatus.CANCELED)


async def test_a_sync_job_that_is_stopped_is_shown_overdue(lab: Lab):
    lab.serve(blocks, concurrency=1)
    async with lab.replica() as running:
        job = lab.enqueue(blocks, 0)
        await eventually(lambda: seen)
        send_stop_job_command(lab.raw, job.id, serializer="json")
        await eventually(lambda: running.board.read()[0].meaning is Overdue.HALTED)
        gate.set()
        await eventually(lambda: running.board.read() == [])


async def test_no_job_begins_before_a_command_to_stop_it_would_be_heard(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    lab.settings = replace(lab.settings, heartbeat=timedelta(seconds=8))
    lab.serve(stays)
    opened, listen = asyncio.Event(), Connection.listen

    @asynccontextmanager
    async def late(self: Connection, *channels: str) -> AsyncIterator[Any]:
        await opened.wait()
        async with listen(self, *channels) as messages:
            yield messages

    monkeypatch.setattr(Connection, "listen", late)
    async with lab.replica(ready=False):
        job = lab.enqueue(stays)
        await eventually(lambda: lab.record().get("state") == "starting")
        await asyncio.sleep(0.1)
        assert (lab.record()["state"], seen) == ("starting", [])
        opened.set()
        await eventually(lambda: seen)
        send_stop_job_command(lab.raw, job.id, serializer="json")
        await eventually(lambda: job.is_stopped)
