"""What type checkers know of a user's program; `mypy` reads this file, pytest runs it.

Each `type: ignore` is itself checked: mypy reports those that ignore nothing.
"""

from collections.abc import Coroutine
from typing import Any, assert_type

import pytest

from reuse_queue import (
    InvalidArguments,
    JobHandle,
    JobStatus,
    ReusePolicy,
    ReuseQueueError,
    TaskEnvironment,
    agather,
    gather,
)
from reuse_queue.task import AsyncTask, Call, SyncTask
from reuse_queue.testing import inline

env = TaskEnvironment("typed", reusable=ReusePolicy(replicas=(0, 2)))


@env.task
async def shout(word: str, times: int = 1) -> str:
    return word.upper() * times


@env.task(retries=2, timeout=30)
def count(word: str) -> int:
    return len(word)


@env.on_start
def start() -> None: ...


@env.on_stop()
async def stop() -> None: ...


def test_calls_here_are_typed_as_the_function_is():
    with inline():
        assert_type(count("abc"), int)
        pending: Coroutine[Any, Any, str] = shout("a", times=2)
        pending.close()


def test_a_handle_knows_what_its_result_is():
    with inline():
        handle = shout.enqueue("a", times=2)
        assert_type(handle, JobHandle[str])
        assert_type(handle.result(timeout=1), str)
        assert_type(handle.status(), JobStatus)
        assert_type(count.override(priority="high", delay=1.5).enqueue("ab").result(), int)
        assert_type(count.handle(handle.id), JobHandle[int])
        wider: JobHandle[object] = handle
        assert wider == handle


async def test_the_twins_are_typed_alike():
    with inline():
        handle = await shout.aenqueue("a")
        assert_type(await handle, str)
        assert_type(await handle.aresult(), str)
        assert_type(await count.aenqueue_many([("a",)]), list[JobHandle[int]])


def test_many_calls_are_typed_by_call():
    with inline():
        handles = shout.enqueue_many(shout.call(word, times=2) for word in "ab")
        assert_type(handles, list[JobHandle[str]])
        assert [each.result() for each in handles] == ["AA", "BB"]


async def test_calls_that_wait_are_typed_as_the_function_is():
    with inline():
        assert_type(count.enqueue_and_wait("abc"), int)
        assert_type(await shout.aenqueue_and_wait("a", times=2), str)
        with pytest.raises(InvalidArguments):
            count.enqueue_and_wait(1)  # type: ignore[arg-type]


async def test_what_is_gathered_keeps_its_types():
    with inline():
        length, word = count.enqueue("abc"), shout.enqueue("a")
        assert_type(gather(length, word), tuple[int, str])
        assert_type(await agather(word, length, word), tuple[str, int, str])
        assert_type(gather(word, word, word, word, length), tuple[str, str, str, str, int])
        many = count.enqueue_many([("a",), ("bc",)])
        assert_type(gather(*many), tuple[int, ...])
        assert_type(await agather(*many, timeout=5), tuple[int, ...])
        some = gather(*many, return_exceptions=True)
        assert_type(some, tuple[int | ReuseQueueError, ...])
        assert some == (1, 2)


async def test_maps_are_typed_by_what_the_task_returns():
    with inline():
        for length in count.map(["a", "bc"]):
            assert_type(length, int)
        assert list(count.map(["a", "bc"], as_completed=True)) == [1, 2]
        assert_type(await shout.amap(["a", shout.call("b", times=2)]), list[str])
        found = [each async for each in shout.amap("ab", as_completed=True)]
        assert_type(found, list[str])
        assert found == ["A", "B"]


@pytest.mark.parametrize("failures", [True, False])
async def test_failures_that_come_among_a_maps_results_are_in_its_type(failures: bool):
    with inline():
        for length in count.map(["a"], return_exceptions=True):
            assert_type(length, int | ReuseQueueError)
        for length in count.map(["a"], return_exceptions=False):
            assert_type(length, int)
        words = await shout.amap(["a"], return_exceptions=True)
        assert_type(words, list[str | ReuseQueueError])
        async for word in shout.amap(["a"], return_exceptions=failures):
            assert_type(word, str | ReuseQueueError)
        assert words == ["A"]


def test_arguments_that_do_not_fit_are_seen_by_the_type_checker_too():
    with inline():
        with pytest.raises(InvalidArguments):
            shout.enqueue(3)  # type: ignore[arg-type]
        with pytest.raises(InvalidArguments):
            count.enqueue("a", 2)  # type: ignore[call-arg]
        with pytest.raises(InvalidArguments):
            shout.enqueue("a", tims=2)  # type: ignore[call-arg]
        with pytest.raises(InvalidArguments):
            count.enqueue_many([count.call(word=3)])  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            shout.override(retry=2)  # type: ignore[call-arg]


def test_a_call_of_one_task_is_no_call_of_another():
    other: Call[[int]] = Call("typed.other", (1,), {})
    with inline(), pytest.raises(InvalidArguments):
        shout.enqueue_many([other])  # type: ignore[list-item]


def test_hooks_and_functions_stay_what_they_are():
    assert_type(start(), None)
    task: SyncTask[[str], int] = count
    wanted: AsyncTask[[str], str] = shout
    assert (task, wanted) == (count, shout)
