"""What ends a call first, and what never begins."""

import time
from datetime import timedelta

import pytest

from reuse_queue import ReusePolicy, TaskEnvironment
from reuse_queue.board import Overdue
from reuse_queue.job import ClaimedJob, Verdict
from reuse_queue.settings import Settings
from reuse_worker.call import Call
from reuse_worker.execute import Executor

S = timedelta(seconds=1)
env = TaskEnvironment("executed", reusable=ReusePolicy(replicas=(0, 2)))
ran: list[str] = []


@env.task
async def on_the_loop() -> None:
    ran.append("on the loop")


@env.task
def on_the_thread() -> None:
    ran.append("on the thread")


def call(name: str, timeout: timedelta | None, ends_in: timedelta | None) -> Call:
    job = ClaimedJob(
        id="j",
        execution="e",
        data=env.serializer.pack(f"{__name__}.{name}", (), {}),
        timeout=timeout,
        result_ttl=None,
        ends_in=ends_in,
    )
    loaded = Executor(env, "r1", Settings(), enter=lambda _: None).load(job)
    assert isinstance(loaded, Call)
    return loaded


@pytest.mark.parametrize(
    ("timeout", "ends_in", "meaning", "after"),
    [
        (9 * S, None, Overdue.TIMEOUT, 9),
        (None, 9 * S, Overdue.DEADLINE, 9),
        (5 * S, 9 * S, Overdue.TIMEOUT, 5),
        (9 * S, 5 * S, Overdue.DEADLINE, 5),
    ],
)
def test_the_first_of_timeout_and_deadline_counts(
    timeout: timedelta | None, ends_in: timedelta | None, meaning: Overdue, after: int
):
    limit = call("on_the_loop", timeout, ends_in).limit()
    assert limit is not None
    assert limit.meaning is meaning
    assert limit.at == pytest.approx(time.monotonic() + after, abs=1)


def test_a_call_without_either_has_no_limit():
    assert call("on_the_loop", None, None).limit() is None


async def test_a_job_whose_deadline_has_passed_before_its_turn_never_begins():
    ran.clear()
    executor = Executor(env, "r1", Settings(), enter=lambda _: None)
    late = call("on_the_loop", None, timedelta(0))
    late_here = call("on_the_thread", 9 * S, timedelta(0))
    for outcome in (await executor.run(late, late.limit()), executor.run_here(late_here)):
        assert (outcome.verdict, outcome.retry) == (Verdict.FAILED, False)
        assert "DeadlinePassed: job j had not been started by its deadline" in outcome.error
    assert ran == []
