"""The callbacks that jobs name, on a replica of ours: those of stock rq's enqueue, and our own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
import redis.asyncio
from rq import Callback
from rq.job import Job, JobStatus, Retry

from integration.worker.conftest import Lab, name_of
from reuse_queue import TaskFailed
from reuse_queue.board import Overdue
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from reuse_queue.context import current_job
from reuse_queue.settings import Settings
from support.eventually import eventually

seen: list[Any] = []
gate = threading.Event()
RESULT = {"a": [1, 2]}


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    seen.clear()
    gate.clear()
    yield
    gate.set()


@pytest.fixture
def lab(raw: redis.Redis, settings: Settings) -> Lab:
    return Lab(raw, settings)


# -- tasks ----------------------------------------------------------------------------------


async def returns() -> dict[str, list[int]]:
    seen.append("ran")
    return RESULT


def returns_here() -> dict[str, list[int]]:
    return RESULT


async def fails() -> None:
    raise ValueError("no good")


def fails_here() -> None:
    raise ValueError("no good")


async def stays() -> None:
    seen.append("stays")
    await asyncio.Event().wait()


# -- callbacks ------------------------------------------------------------------------------


def note(job: Job, connection: redis.Redis, result: object) -> None:
    job.meta["noted"] = True
    job.save_meta()
    running = current_job()
    assert running is not None
    assert running.id == job.id
    assert connection.ping()
    shown = job.get_status(refresh=False)
    seen.append((job.id, result, shown, job.get_status(), job.latest_result()))


async def anote(job: Job, connection: redis.asyncio.Redis, result: object) -> None:
    assert await connection.ping()
    note(job, job.connection, result)


def mourn(job: Job, connection: redis.Redis, kind: type, error: Exception, trace: Any) -> None:
    assert connection.ping()
    assert error.__traceback__ is trace
    seen.append((job.id, kind, str(error), job.latest_result() is None))


async def amourn(job: Job, connection: Any, kind: type, error: Exception, trace: Any) -> None:
    assert await connection.ping()
    mourn(job, job.connection, kind, error, trace)


def break_down(*_: object) -> None:
    raise LookupError("in the callback")


async def abreak_down(*_: object) -> None:
    raise SystemExit("in the callback")


def rest(job: Job, connection: redis.Redis) -> None:
    assert connection.ping()
    seen.append((job.id, job.get_status(refresh=False)))


async def linger(*_: object) -> None:
    await asyncio.Event().wait()


def linger_here(*_: object) -> None:
    seen.append("lingers")
    gate.wait(20)


CALLBACKS = (note, anote, mourn, amourn, break_down, abreak_down, rest, linger, linger_here)


def serve(lab: Lab, *tasks: Callable[..., Any]) -> None:
    lab.serve(*tasks, concurrency=1)
    for each in CALLBACKS:
        lab.env.callback(each)


def called(function: Callable[..., Any], timeout: int | None = None) -> Callback:
    return Callback(name_of(function), timeout=timeout)


async def ended(lab: Lab, job: Job) -> JobStatus:
    await eventually(lambda: job.latest_result() is not None and not lab.held())
    return job.get_status()


def error_of(job: Job) -> str:
    result = job.latest_result()
    assert result is not None
    return str(result.exc_string)


# -- on_success -----------------------------------------------------------------------------


@pytest.mark.parametrize("callback", [note, anote])
@pytest.mark.parametrize("task", [returns, returns_here])
async def test_a_success_callback_is_called_before_the_result_is_recorded(
    lab: Lab, task: Callable[..., Any], callback: Callable[..., Any]
) -> None:
    serve(lab, task)
    job = lab.enqueue(task, on_success=called(callback))
    async with lab.replica():
        assert await ended(lab, job) is JobStatus.FINISHED
    assert seen[-1] == (job.id, RESULT, JobStatus.FINISHED, JobStatus.STARTED, None)
    assert job.return_value() == RESULT
    assert job.get_meta() == {"noted": True}
    assert len(job.results()) == 1


@pytest.mark.parametrize("callback", [break_down, abreak_down])
@pytest.mark.parametrize("task", [returns, returns_here])
async def test_a_job_whose_success_callback_raises_has_failed_and_is_tried_again(
    lab: Lab, task: Callable[..., Any], callback: Callable[..., Any]
) -> None:
    serve(lab, task)
    job = lab.enqueue(
        task, on_success=called(callback), on_failure=called(mourn), retry=Retry(max=1)
    )
    async with lab.replica():
        await eventually(lambda: len(seen) >= 2 and job.get_status() is JobStatus.FAILED)
    assert "in the callback" in error_of(job)
    assert [each[2] for each in seen if each != "ran"] == ["in the callback"] * 2


# -- on_failure -----------------------------------------------------------------------------


@pytest.mark.parametrize("callback", [mourn, amourn])
@pytest.mark.parametrize("task", [fails, fails_here])
async def test_a_failure_callback_is_called_each_time_before_the_failure_is_recorded(
    lab: Lab, task: Callable[..., Any], callback: Callable[..., Any]
) -> None:
    serve(lab, task)
    job = lab.enqueue(task, on_failure=called(callback), retry=Retry(max=2))
    async with lab.replica():
        assert await ended(lab, job) is JobStatus.FAILED
    assert seen == [(job.id, ValueError, "no good", True)] * 3
    assert "ValueError: no good" in error_of(job)


@pytest.mark.parametrize("callback", [break_down, abreak_down])
@pytest.mark.parametrize("task", [fails, fails_here])
async def test_the_error_of_a_failure_callback_is_recorded_beside_the_jobs(
    lab: Lab, task: Callable[..., Any], callback: Callable[..., Any]
) -> None:
    serve(lab, task)
    job = lab.enqueue(task, on_failure=called(callback))
    async with lab.replica():
        assert await ended(lab, job) is JobStatus.FAILED
    first, second = error_of(job).split("During handling of the above exception")
    assert "ValueError: no good" in first
    assert "in the callback" in second


async def test_a_job_that_cannot_be_called_has_its_failure_callback_called(lab: Lab) -> None:
    serve(lab, returns)
    unknown = lab.enqueue("app.nowhere", on_failure=called(mourn))
    wrong = lab.enqueue(returns, 1, on_failure=called(mourn))
    async with lab.replica():
        assert await ended(lab, unknown) is JobStatus.FAILED
        assert await ended(lab, wrong) is JobStatus.FAILED
    assert [each[1].__name__ for each in seen] == ["UnknownTask", "InvalidArguments"]


# -- what is not registered -----------------------------------------------------------------


@pytest.mark.parametrize("end", ["on_success", "on_failure", "on_stopped"])
async def test_a_job_that_names_a_function_that_is_no_callback_fails_before_it_runs(
    lab: Lab, end: str
) -> None:
    serve(lab, returns)
    # A task is none either, and nothing is imported.
    for name in ("os.system", name_of(returns)):
        ends = {"on_failure": called(mourn), end: Callback(name)}
        job = lab.enqueue(returns, **ends)
        async with lab.replica():
            assert await ended(lab, job) is JobStatus.FAILED
        assert f"environment lab has no callback {name!r}" in error_of(job)
        assert f"Registered here: {name_of(note)}" in error_of(job)
    told = [] if end == "on_failure" else ["UnknownCallback"] * 2
    assert [each[1].__name__ for each in seen] == told


async def test_signing_keys_keep_others_from_naming_callbacks(lab: Lab) -> None:
    serve(lab)
    lab.settings = replace(lab.settings, signing_keys=f"2026:{'n' * 32}")
    lab.env.bind(Connection(lab.settings))
    task = lab.env.task(on_success=note)(returns)
    handle, forged = await task.aenqueue(), await task.aenqueue()
    unsigned = lab.enqueue(returns, on_failure=called(mourn))
    lab.raw.hset(lab.env.connection.keys.job(forged.id), "success_callback_name", name_of(anote))
    async with lab.replica():
        assert await handle.aresult(10) == RESULT
        with pytest.raises(TaskFailed, match="with other callbacks"):
            await forged.aresult(10)
        assert await ended(lab, unsigned) is JobStatus.FAILED
    assert [each[0] for each in seen if each != "ran"] == [handle.id]


# -- on_stopped -----------------------------------------------------------------------------


async def cancel(lab: Lab, job: Job) -> None:
    connection = Connection(lab.settings)
    await connection.arun(JobQueue(connection.keys).cancel([job.id]))
    await connection.aclose()


@pytest.mark.parametrize("callback", [rest, break_down])
async def test_a_stopped_callback_is_called_when_a_running_job_has_given_way_to_a_cancel(
    lab: Lab, callback: Callable[..., Any]
) -> None:
    serve(lab, stays)
    job = lab.enqueue(stays, on_stopped=called(callback), on_failure=called(mourn))
    async with lab.replica():
        await eventually(lambda: seen == ["stays"])
        await cancel(lab, job)
        await eventually(lambda: job.get_status() is JobStatus.CANCELED and not lab.held())
    assert seen[1:] == ([] if callback is break_down else [(job.id, JobStatus.STOPPED)])
    assert job.latest_result() is None


# -- limits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [returns, returns_here])
async def test_a_coroutine_callback_is_held_to_its_own_timeout(
    lab: Lab, task: Callable[..., Any]
) -> None:
    serve(lab, task)
    job = lab.enqueue(task, on_success=called(linger, timeout=1), on_failure=called(mourn))
    async with lab.replica():
        assert await ended(lab, job) is JobStatus.FAILED
    named = f"the success callback {name_of(linger)} ran longer than its timeout of 1 s"
    assert seen[-1][2] == named
    assert f"TimeoutError: {named}" in error_of(job)


@pytest.mark.parametrize("task", [returns, returns_here])
async def test_the_board_shows_how_long_a_plain_callback_may_run(
    lab: Lab, task: Callable[..., Any]
) -> None:
    serve(lab, task)
    job = lab.enqueue(task, on_success=called(linger_here, timeout=3000), job_timeout=10)
    async with lab.replica() as replica:
        await eventually(lambda: "lingers" in seen)
        (slot,) = replica.board.read()
        assert slot.meaning is Overdue.TIMEOUT
        assert slot.deadline > asyncio.get_running_loop().time() + 2000
        gate.set()
        assert await ended(lab, job) is JobStatus.FINISHED


async def test_a_job_that_is_canceled_while_its_plain_callback_runs_ends_after_it(
    lab: Lab,
) -> None:
    serve(lab, returns)
    job = lab.enqueue(returns, on_success=called(linger_here))
    async with lab.replica() as replica:
        await eventually(lambda: "lingers" in seen)
        await cancel(lab, job)
        await eventually(lambda: replica.board.read()[0].meaning is Overdue.CANCELED)
        assert lab.held() == 1
        gate.set()
        assert await ended(lab, job) is JobStatus.FINISHED
    assert job.return_value() == RESULT


# -- our own enqueue ------------------------------------------------------------------------


async def test_our_own_enqueue_names_the_callbacks_of_the_task_or_of_the_call(lab: Lab) -> None:
    serve(lab)
    lab.env.bind(Connection(lab.settings))
    task = lab.env.task(on_success=note)(returns)
    handle = await task.aenqueue()
    other = await task.override(on_success=anote).aenqueue()
    without = await task.override(on_success=None).aenqueue()
    async with lab.replica():
        for each in (handle, other, without):
            assert await each.aresult(10) == RESULT
    assert [each[0] for each in seen if each != "ran"] == [handle.id, other.id]
