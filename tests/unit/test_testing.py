import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from reuse_queue import (
    InvalidArguments,
    JobCanceled,
    JobNotFound,
    JobStatus,
    NotSerializable,
    Priority,
    RedisUnavailable,
    ReusePolicy,
    TaskEnvironment,
    TaskFailed,
    agather,
    current_job,
    gather,
)
from reuse_queue.broker.connection import Step, command
from reuse_queue.testing import InlineJob, inline
from support import sample
from support.eventually import eventually, eventually_sync
from support.sample import Label, add, blocking, classify, fail, nested, process

gated = TaskEnvironment("gated")
late = TaskEnvironment("late")
gate = threading.Event()
hooked = TaskEnvironment("hooked", reusable=ReusePolicy(concurrency=4))
seen: list[str] = []
STARTED = ["preload", "start", "job", "started"]  # the hook itself enqueues a job


@gated.task
def pass_the_gate() -> str:
    gate.wait(10)
    return "passed"


@hooked.preload
def preload() -> None:
    seen.append("preload")


@hooked.on_start
async def start() -> None:
    seen.append("start")
    await asyncio.sleep(0.01)
    await (await where.aenqueue()).aresult()
    seen.append("started")


@hooked.on_stop
async def stop() -> None:
    seen.append("stop")


@hooked.task
async def where() -> str:
    seen.append("job")
    return threading.current_thread().name


@hooked.task
async def die(code: int) -> None:
    raise SystemExit(code)


@hooked.task(timeout=0.01)
async def sleep() -> None:
    await asyncio.sleep(60)


@hooked.task(result_ttl=0)
async def forgotten() -> int:
    return 1


@gated.task(retries=2)
async def sleeps() -> None:
    seen.append("sleeps")
    try:
        await asyncio.sleep(60)
    finally:
        seen.append("woken")


@gated.task(retries=2)
async def waits_for_a_sleeper() -> None:
    await sleeps.aenqueue_and_wait()


@late.on_start
def wait_for_the_gate() -> None:
    seen.append("late")
    gate.wait(10)


@late.task
async def begins_late() -> None:
    seen.append("begun")


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    seen.clear()
    sample.log.clear()


def test_a_job_has_run_when_enqueue_returns():
    with inline() as jobs:
        handle = classify.enqueue("a.png", top=2)
        assert jobs == [
            InlineJob(
                id=handle.id,
                environment="sample",
                task="support.sample.classify",
                args=("a.png",),
                kwargs={"top": 2},
                priority=Priority.NORMAL,
                delay=None,
                status=JobStatus.FINISHED,
                attempts=1,
                record=jobs[0].record,
            )
        ]
        assert handle.status() is JobStatus.FINISHED
        assert handle.result() == Label("a.png", 2)
        assert handle.cancel() is False
        assert sample.env.handle(handle.id).result() == Label("a.png", 2)


def test_sync_tasks_run_in_the_calling_thread_so_that_a_debugger_finds_them():
    with pytest.MonkeyPatch.context() as patch, inline():
        patch.setattr(add, "function", lambda a: threading.get_ident() - a)
        assert add.enqueue(1).result() == threading.get_ident() - 1


async def test_under_a_running_loop_both_kinds_run_awaited_or_not():
    with inline():
        assert classify.enqueue("a").result() == Label("a")
        assert await (await classify.aenqueue("b")) == Label("b")
        assert process.enqueue("loop").result() == "ran"
        assert await (await process.aenqueue("loop")) == "ran"
        handles = await classify.aenqueue_many([(name,) for name in "cd"])
        assert [await each for each in handles] == [Label("c"), Label("d")]


@pytest.mark.parametrize("depth", [1, 2, 20, 21])
def test_tasks_that_wait_for_tasks_end_at_any_depth(depth: int):
    with inline() as jobs:
        assert nested.enqueue(depth).result() == depth
    assert len(jobs) == depth + 1


def test_a_coroutine_that_would_block_a_replica_fails_here_too():
    with inline(), pytest.raises(TaskFailed, match="WouldBlock"):
        blocking.enqueue().result()


def test_hooks_run_once_before_the_first_job_and_after_the_last():
    with inline():
        assert seen == []
        where.enqueue_many([()] * 2)
    assert seen == [*STARTED, "job", "job", "stop"]


def test_hooks_of_named_environments_run_before_the_block():
    with inline(hooked):
        assert seen == STARTED
    assert seen[-1] == "stop"


async def test_no_job_runs_before_the_hooks_have_ended():
    with inline():
        await asyncio.gather(*(where.aenqueue() for _ in range(5)))
        assert seen == [*STARTED, *["job"] * 5]


def test_a_hook_that_fails_fails_the_test():
    broken = TaskEnvironment("broken")

    @broken.on_start
    def refuse() -> None:
        raise OSError("no model")

    with pytest.raises(OSError, match="no model"), inline(broken):
        pass


def test_only_the_named_environments_jobs_run_inline(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REDIS_URL", "redis://localhost:1")
    monkeypatch.setattr(add.environment, "_redis", None)
    with inline(sample.env):
        classify.enqueue("a")
        with pytest.raises(RedisUnavailable):
            add.enqueue(1)
    monkeypatch.setattr(add.environment, "_redis", None)


def test_retries_follow_at_once_each_with_the_arguments_as_they_were():
    with inline() as jobs:
        assert fail.enqueue([]).result() == "1 sample inline"
        assert jobs[0].attempts == 4
        assert current_job() is None


def test_a_failure_is_the_handles_to_raise():
    with inline() as jobs:
        handle = fail.override(retries=1).enqueue([])
        assert handle.result() == "1 sample inline"
        failed = die.enqueue(3)
        assert failed.status() is JobStatus.FAILED
        with pytest.raises(TaskFailed, match="SystemExit: 3") as caught:
            failed.result()
        assert "in die" in caught.value.traceback
        assert where.enqueue().result() == "reuse-queue-inline"
    assert [job.attempts for job in jobs if "die" in job.task] == [1]


def test_a_sync_task_that_exits_has_failed():
    with inline(), pytest.raises(TaskFailed, match="SystemExit: 3"):
        process.enqueue("exit").result()


def test_what_would_fail_on_the_wire_fails_here():
    with inline() as jobs:
        with pytest.raises(InvalidArguments):
            classify.enqueue(3)  # type: ignore[arg-type]
        with pytest.raises(NotSerializable):
            sample.anything.enqueue(object())
        assert jobs == []
        with pytest.raises(
            TaskFailed,
            match=r"NotSerializable: .*process returned a object, which.*: JSON has no form.*"
            r"Return plain data instead or give the environment serializer",
        ):
            process.override(retries=3).enqueue("object").result()
        assert jobs[0].attempts == 1


def test_a_coroutine_is_held_to_its_timeout():
    with inline(), pytest.raises(TaskFailed, match=r"longer than its timeout of 0\.01 s"):
        sleep.enqueue().result()


def test_a_delay_is_recorded_and_not_waited_for():
    with inline() as jobs:
        handle = add.override(delay=3600, priority="high").enqueue(1)
        assert handle.result(timeout=0) == 1
        assert (jobs[0].delay, jobs[0].priority) == (timedelta(hours=1), Priority.HIGH)


def test_a_result_that_is_not_to_be_kept_is_not():
    with inline(), pytest.raises(JobNotFound):
        forgotten.enqueue().result()


def test_handles_of_other_jobs_are_not_found():
    with inline(), pytest.raises(JobNotFound):
        add.handle("elsewhere").result()


def test_what_asks_for_redis_says_that_there_is_none():
    def step() -> Step[None]:
        yield command("PING")

    with inline(), pytest.raises(RuntimeError, match="there is no Redis to ask"):
        sample.env.run(step())


def test_what_ends_a_test_within_a_task_ends_the_test():
    async def give_up(path: str, top: int = 1) -> Label:
        pytest.fail("enough")

    with pytest.MonkeyPatch.context() as patch, inline():
        patch.setattr(classify, "function", give_up)
        with pytest.raises(pytest.fail.Exception, match="enough"):
            classify.enqueue("a")


def test_blocks_may_be_nested_and_leave_nothing_behind():
    before = threading.active_count()
    with inline(sample.env) as outer, inline() as inner:
        classify.enqueue("a")
        assert (len(outer), len(inner)) == (0, 1)
    assert threading.active_count() == before
    assert sample.log == ["start", "start", "stop", "stop"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_jobs_that_another_thread_runs_are_waited_for_together(asynchronous: bool):
    gate.clear()
    with inline(gated, sample.plain) as jobs:
        thread = threading.Thread(target=pass_the_gate.enqueue)
        thread.start()
        eventually_sync(lambda: jobs)
        running, ended = pass_the_gate.handle(jobs[0].id), add.enqueue(1, 2)
        opens = threading.Timer(0.05, gate.set)
        opens.start()
        if asynchronous:
            assert asyncio.run(agather(running, ended)) == ("passed", 3)
        else:
            assert gather(running, ended) == ("passed", 3)
        thread.join()
        opens.join()


def in_threads() -> bool:
    return any(each.name == "reuse-queue-inline-call" for each in threading.enumerate())


async def given_up(wait: Coroutine[Any, Any, object], when: Callable[[], object]) -> None:
    task = asyncio.create_task(wait)
    await eventually(when)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_gives_up_a_wait_cancels_the_job_and_those_that_it_waits_for():
    with inline(gated) as jobs:
        await given_up(waits_for_a_sleeper.aenqueue_and_wait(), lambda: seen)
        await eventually(lambda: "woken" in seen)
        await eventually(lambda: all(each.status is JobStatus.CANCELED for each in jobs))
    assert [each.attempts for each in jobs] == [1, 1]
    assert seen == ["sleeps", "woken"]


async def test_what_a_canceled_function_still_returns_is_dropped():
    gate.clear()
    with inline(gated) as jobs:
        await given_up(pass_the_gate.aenqueue_and_wait(), lambda: jobs)
        gate.set()
        await eventually(lambda: not in_threads())
        with pytest.raises(JobCanceled):
            pass_the_gate.handle(jobs[0].id).result()
        assert not pass_the_gate.handle(jobs[0].id).cancel()


async def test_a_job_that_is_canceled_while_the_hooks_run_is_not_begun():
    gate.clear()
    with inline() as jobs:
        await given_up(begins_late.aenqueue_and_wait(), lambda: seen)
        gate.set()
        await eventually(lambda: jobs and not in_threads())
    assert (jobs[0].status, jobs[0].attempts) == (JobStatus.CANCELED, 0)
    assert seen == ["late"]
