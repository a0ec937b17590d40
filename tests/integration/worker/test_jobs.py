"""What becomes of a job, by what its task does."""

import asyncio
import threading
from dataclasses import dataclass

import pytest
from rq.job import Job, JobStatus
from rq.results import Result

from integration.worker.conftest import Lab, name_of
from reuse_queue.context import current_job
from reuse_queue.errors import NotSerializable
from support.eventually import eventually

seen: list[object] = []


@pytest.fixture(autouse=True)
def clean():
    seen.clear()


@dataclass
class Point:
    x: int
    y: int


async def add(one: int, other: int) -> int:
    return one + other


async def mirror(point: Point) -> Point:
    return Point(point.y, point.x)


def add_here(one: int, other: int) -> int:
    seen.append(threading.current_thread().name)
    return one + other


async def who() -> dict[str, str]:
    job = current_job()
    assert job is not None
    await asyncio.sleep(0)
    assert current_job() is job
    return {"id": job.id, "replica": job.replica, "environment": job.environment}


async def meet(number: int) -> None:
    seen.append(number)
    await eventually(lambda: len(seen) == 4)


def alone() -> None:
    seen.append("in")
    assert seen.count("in") - seen.count("out") == 1
    seen.append("out")


async def leave(how: str) -> None:
    await asyncio.sleep(0)
    raise ENDS[how]


def leave_here(how: str) -> None:
    raise ENDS[how]


ENDS = {
    "an error": ValueError("no good"),
    "an exit": SystemExit(3),
    "an interrupt": KeyboardInterrupt(),
    "a generator's exit": GeneratorExit(),
    "its own cancel": asyncio.CancelledError("by itself"),
}


async def opaque() -> object:
    return object()


async def large(size: int) -> str:
    return "x" * size


async def stay() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        seen.append("cleaned up")


async def ended(job: Job) -> Job:
    await eventually(
        lambda: job.get_status() in (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELED),
        what=f"the end of {job.func_name}",
    )
    job.refresh()
    return job


def traceback_of(job: Job) -> str:
    result = job.latest_result()
    assert result is not None
    assert result.type is Result.Type.FAILED
    return str(result.exc_string)


async def test_a_job_of_stock_rq_runs_and_stock_rq_reads_its_result(lab: Lab):
    lab.serve(add, mirror)
    async with lab.replica():
        assert (await ended(lab.enqueue(add, 2, other=3))).return_value() == 5
        mirrored = await ended(lab.enqueue(mirror, {"x": 1, "y": 2}))
        assert mirrored.return_value() == {"x": 2, "y": 1}


async def test_a_sync_task_runs_on_a_thread_of_its_own(lab: Lab):
    lab.serve(add_here, concurrency=1)
    async with lab.replica():
        jobs = [lab.enqueue(add_here, number, 1) for number in range(3)]
        assert [(await ended(job)).return_value() for job in jobs] == [1, 2, 3]
    assert len(set(seen)) == 1
    assert threading.current_thread().name not in seen


async def test_coroutine_tasks_run_side_by_side_up_to_the_concurrency(lab: Lab):
    lab.serve(meet)
    async with lab.replica():
        jobs = [lab.enqueue(meet, number) for number in range(4)]
        for job in jobs:
            assert (await ended(job)).get_status() is JobStatus.FINISHED


async def test_no_more_run_at_once_than_there_are_slots(lab: Lab):
    lab.serve(meet, concurrency=3)
    async with lab.replica() as replica:
        for number in range(4):
            lab.enqueue(meet, number)
        await eventually(lambda: len(seen) == 3)
        assert len(replica.board.read()) == 3
        assert lab.held() == 3


async def test_sync_jobs_run_one_at_a_time(lab: Lab):
    lab.serve(alone, concurrency=1)
    jobs = [lab.enqueue(alone) for _ in range(30)]
    async with lab.replica():
        for job in jobs:
            assert (await ended(job)).get_status() is JobStatus.FINISHED


async def test_a_task_can_ask_which_job_it_runs_for(lab: Lab):
    lab.serve(who)
    async with lab.replica():
        job = await ended(lab.enqueue(who))
    assert job.return_value() == {"id": job.id, "replica": "r1", "environment": "lab"}
    assert current_job() is None


@pytest.mark.parametrize("how", ENDS)
async def test_whatever_a_coroutine_task_raises_is_its_own_failure(lab: Lab, how: str):
    lab.serve(leave, add)
    async with lab.replica():
        text = traceback_of(await ended(lab.enqueue(leave, how)))
        assert type(ENDS[how]).__name__ in text.strip().splitlines()[-1]
        assert "raise ENDS[how]" in text
        assert "reuse_worker" not in text
        assert (await ended(lab.enqueue(add, 1, 1))).return_value() == 2


@pytest.mark.parametrize("how", ENDS)
async def test_whatever_a_sync_task_raises_is_its_own_failure(lab: Lab, how: str):
    lab.serve(leave_here, add_here, concurrency=1)
    async with lab.replica():
        text = traceback_of(await ended(lab.enqueue(leave_here, how)))
        assert type(ENDS[how]).__name__ in text.strip().splitlines()[-1]
        assert "reuse_worker" not in text
        assert (await ended(lab.enqueue(add_here, 1, 1))).return_value() == 2


async def test_only_registered_tasks_run_whatever_a_payload_names(lab: Lab):
    lab.serve(add)
    async with lab.replica():
        text = traceback_of(await ended(lab.enqueue("os.getpid")))
    assert "UnknownTask" in text
    assert f"Registered here: {name_of(add)}." in text


async def test_arguments_that_do_not_fit_fail_for_good_whatever_retries_are_left(lab: Lab):
    from rq import Retry

    lab.serve(add)
    async with lab.replica():
        job = await ended(lab.enqueue(add, "one", 2, retry=Retry(max=3)))
    assert "'one'" in traceback_of(job)
    assert job.retries_left == 3


async def test_a_payload_that_cannot_be_read_fails_for_good(lab: Lab):
    lab.serve(add)
    job = lab.enqueue(add, 1, 2)
    lab.raw.hset(job.key, "data", b"\x80\x04no json")
    async with lab.replica():
        await eventually(lambda: job.get_status() is JobStatus.FAILED)
    assert "NotDeserializable" in job.latest_result().exc_string


async def test_a_result_that_cannot_be_written_is_a_failure(lab: Lab):
    lab.serve(opaque)
    async with lab.replica():
        text = traceback_of(await ended(lab.enqueue(opaque)))
    assert NotSerializable.__name__ in text


async def test_a_result_over_the_limit_is_a_failure_that_names_it(lab: Lab):
    from dataclasses import replace

    lab.settings = replace(lab.settings, max_payload=1024)
    lab.serve(large)
    async with lab.replica():
        assert len((await ended(lab.enqueue(large, 100))).return_value()) == 100
        text = traceback_of(await ended(lab.enqueue(large, 2000)))
    assert "PayloadTooLarge" in text
    assert "limit" in text


async def test_a_coroutine_past_its_timeout_has_cleaned_up_before_it_is_failed(lab: Lab):
    lab.serve(stay)
    async with lab.replica():
        job = await ended(lab.enqueue(stay, job_timeout=1))
        assert seen == ["cleaned up"]
        text = traceback_of(job)
        assert "asyncio.Event().wait()" in text
        assert text.strip().endswith("TimeoutError: the job ran longer than its timeout of 1 s")


async def test_what_runs_is_on_the_board_with_its_deadline(lab: Lab):
    lab.serve(stay)
    async with lab.replica() as replica:
        lab.enqueue(stay, job_timeout=100)
        [slot] = await eventually(replica.board.read)
        kill_grace = lab.settings.kill_grace.total_seconds()
        assert slot.deadline == pytest.approx(
            asyncio.get_running_loop().time() + 100 + kill_grace, abs=10
        )
        [member] = lab.raw.smembers("rq:worker:r1:executions")
        assert str(member).rstrip("'").endswith(slot.execution)
