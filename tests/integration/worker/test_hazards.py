"""What tasks may meet when they go on after a wait, as docs/architecture.md says."""

import asyncio
import contextlib
import contextvars
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest
import rq
from structlog.testing import capture_logs

from integration.worker.conftest import Lab, name_of
from reuse_queue import TaskEnvironment
from reuse_queue.errors import JobCanceled
from reuse_worker import away
from support.eventually import eventually

served: list[TaskEnvironment] = []
KEPT = "job kept from going on"
seen: list[str] = []
gate = threading.Event()
lock, loop_locks = threading.Lock(), [asyncio.Lock()]
newest = ""
connections: list[sqlite3.Connection] = []
of_thread = threading.local()
model: contextvars.ContextVar[str] = contextvars.ContextVar("model", default="none")


async def wait_for(job_id: str) -> None:
    if job_id:
        with contextlib.suppress(JobCanceled):
            await served[-1].handle(job_id)


def wait_here_for(job_id: str) -> None:
    if job_id:
        with contextlib.suppress(JobCanceled):
            served[-1].handle(job_id).result()


async def sets_a_global(mine: str, job_id: str) -> str:
    global newest  # noqa: PLW0603  # what the test is about
    newest = mine
    await wait_for(job_id)
    return newest


def sets_a_global_here(mine: str, job_id: str) -> str:
    global newest  # noqa: PLW0603
    newest = mine
    wait_here_for(job_id)
    return newest


async def sets_a_variable(mine: str, job_id: str) -> str:
    model.set(mine)
    await wait_for(job_id)
    return model.get()


def sets_a_variable_here(mine: str, job_id: str) -> str:
    model.set(mine)
    wait_here_for(job_id)
    return model.get()


def sets_a_thread_local(mine: str, job_id: str) -> str:
    before = getattr(of_thread, "newest", "")
    of_thread.newest = mine
    wait_here_for(job_id)
    return f"{before}, {of_thread.newest}"


def shares_a_connection(_: str, job_id: str) -> str:
    if not connections:
        connections.append(sqlite3.connect(":memory:"))
    wait_here_for(job_id)
    try:
        connections[0].execute("SELECT 1").close()
    except sqlite3.ProgrammingError:
        return "another thread's"
    connections.pop().close()
    return "fine"


def holds_a_lock(_: str, job_id: str) -> str:
    with lock:
        wait_here_for(job_id)
    return "done"


def wants_the_lock() -> str:
    seen.append("wants")
    while not gate.is_set():
        if lock.acquire(timeout=0.01):
            return "got it"
    return "gave up"


async def holds_a_lock_of_the_loop(_: str, job_id: str) -> str:
    async with loop_locks[0]:
        await wait_for(job_id)
    return "done"


async def wants_the_lock_of_the_loop() -> str:
    seen.append("wants")
    while not gate.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01), loop_locks[0]:
                return "got it"
    return "gave up"


@pytest.fixture
def serve(lab: Lab) -> Callable[..., None]:
    def serve(*functions: Callable[..., Any]) -> None:
        lab.serve(*functions, concurrency=1)
        served[:] = [lab.env]
        seen.clear()
        gate.clear()
        connections.clear()
        loop_locks[:] = [asyncio.Lock()]  # it belongs to the loop that uses it first

    return serve


def task(function: Callable[..., Any]) -> Any:
    return served[-1].lookup(name_of(function))


def unserved(lab: Lab) -> rq.job.Job:
    """Return a job that nobody runs: who waits for it goes on when it is canceled."""
    queue = rq.Queue("elsewhere", connection=lab.raw, serializer="json")
    return queue.enqueue("nobody.runs.this")


@pytest.mark.parametrize(
    ("function", "first", "second"),
    [
        (sets_a_global, "second", "second"),
        (sets_a_global_here, "second", "second"),
        (sets_a_variable, "first", "second"),
        (sets_a_variable_here, "first", "second"),
        # The next one runs on another thread, and the first goes on where it was.
        (sets_a_thread_local, ", first", ", second"),
        (shares_a_connection, "fine", "another thread's"),
    ],
)
async def test_what_a_job_finds_that_another_one_has_run_beside(
    lab: Lab, serve, function, first: str, second: str
):
    serve(function)
    job = unserved(lab)
    async with lab.replica() as running:
        waits = await task(function).aenqueue("first", job.id)
        await eventually(lambda: running.daemon._slots.away == 1)
        assert await task(function).aenqueue_and_wait("second", "") == second
        job.cancel()
        assert await waits == first


@pytest.mark.parametrize(
    ("function", "first", "second"),
    [
        (sets_a_global, "first", "second"),
        (sets_a_global_here, "first", "second"),
        (sets_a_thread_local, ", first", "first, second"),
    ],
)
async def test_without_yielding_jobs_of_one_slot_run_one_after_the_other_on_one_thread(
    lab: Lab, serve, function, first: str, second: str
):
    serve(function)
    lab.env.yield_slots = False
    job = unserved(lab)
    async with lab.replica() as running:
        waits = await task(function).aenqueue("first", job.id)
        after = await task(function).aenqueue("second", "")
        await eventually(lambda: running.daemon._slots.busy == 1)
        assert running.daemon._slots.away == 0
        job.cancel()
        assert (await waits, await after) == (first, second)


@pytest.mark.parametrize(
    ("holds", "wants"),
    [(holds_a_lock, wants_the_lock), (holds_a_lock_of_the_loop, wants_the_lock_of_the_loop)],
)
async def test_a_lock_held_across_a_wait_is_a_deadlock_that_the_log_tells_of(
    lab: Lab, serve, monkeypatch: pytest.MonkeyPatch, holds, wants
):
    monkeypatch.setattr(away, "_LONG_S", 0.05)
    serve(holds, wants)
    job = unserved(lab)
    with capture_logs() as logs:
        async with lab.replica() as running:
            parent = await task(holds).aenqueue("", job.id)
            await eventually(lambda: running.daemon._slots.away == 1)
            other = await task(wants).aenqueue()
            await eventually(lambda: seen == ["wants"])
            job.cancel()
            await eventually(lambda: [each for each in logs if each["event"] == KEPT])
            gate.set()
            assert (await other, await parent) == ("gave up", "done")
    told = next(each for each in logs if each["event"] == KEPT)
    assert (told["job"], told["in_slots"]) == (parent.id, [f"{name_of(wants)} {other.id}"])
