"""What a run's children are called: the same in each execution of the run, whatever the timing."""

import random
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from reuse_queue import lineage
from reuse_queue.context import RunningJob, running
from reuse_queue.job import NewJob
from reuse_queue.lineage import Lineage
from support import sample

RUN = ("parent", "2026-03-01T12:00:00.000000Z", "env", "app.task", "")


def ids(calls: Sequence[tuple[tuple[str, ...], bytes]]) -> list[str]:
    made = Lineage()
    return [made.child_id(*call) for call in calls]


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_calls_does_not_matter(seed: int):
    chance = random.Random(seed)
    tasks = [(*RUN[:3], f"app.task{n}", "") for n in range(3)]
    calls = [(chance.choice(tasks), b"%d" % chance.randrange(5)) for _ in range(60)]
    other = chance.sample(calls, len(calls))
    assert sorted(ids(calls)) == sorted(ids(other))
    by_call = dict.fromkeys(calls)
    for call in by_call:
        assert {i for i, c in zip(ids(calls), calls, strict=True) if c == call} == {
            i for i, c in zip(ids(other), other, strict=True) if c == call
        }


def test_no_two_calls_share_an_id():
    callers = [
        RUN,
        *(
            tuple(x if n == k else w for n, w in enumerate(RUN))
            for k, x in enumerate(("other", "later", "elsewhere", "app.other", "retries=1"))
        ),
    ]
    # Texts that would be the same if they were only put in a row.
    callers += [("ab", "c", "d", "e", ""), ("a", "bc", "d", "e", ""), ("a", "b", "cd", "e", "")]
    calls = [(caller, b"%d" % n) for caller in callers for n in range(20)] * 3
    assert len(set(ids(calls))) == len(calls)


def test_threads_that_make_equal_calls_get_different_ids():
    made = Lineage()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: made.child_id(RUN, b"same"), range(2000)))
    assert sorted(found) == sorted(ids([(RUN, b"same")] * 2000))


def test_so_many_calls_that_they_are_not_all_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lineage, "MOST_REMEMBERED", 100)
    other = (*RUN[:3], "app.other", "")
    calls = [(RUN, b"%d" % (n % 300)) for n in range(900)]
    found = ids(calls)
    assert len(set(found)) == 900
    assert found == ids(calls)
    # Each task is numbered for itself: what another one calls meanwhile changes nothing.
    mixed = calls[:100] + [each for call in calls[100:] for each in (call, (other, b"x"))]
    of_task = [i for i, (caller, _) in zip(ids(mixed), mixed, strict=True) if caller == RUN]
    assert found == of_task


def test_a_run_that_calls_for_ever_needs_no_more_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lineage, "MOST_REMEMBERED", 1000)
    made = Lineage()
    tracemalloc.start()
    try:
        for n in range(2000):
            made.child_id(RUN, b"%d" % n)
        before, _ = tracemalloc.get_traced_memory()
        for n in range(20_000):
            made.child_id(RUN, b"%d" % n)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 5_000


JOB = RunningJob(id="parent", execution="e1", environment="env", replica="r", run="1")


def child(job: RunningJob, *args: object, **options: Any) -> NewJob:
    task = sample.classify.override(**options) if options else sample.classify
    with running(job):
        return task._new_job(args, {})


def again(**changes: Any) -> RunningJob:
    """Return the job as its next execution sees it."""
    return replace(JOB, execution="e2", lineage=Lineage(), **changes)


def test_a_redelivered_job_makes_the_same_children_and_a_retried_one_others():
    first = child(again(), "a.png").id
    assert child(again(deliveries_lost=1), "a.png").id == first
    assert child(again(run="2"), "a.png").id != first
    assert child(again(id="another"), "a.png").id != first
    assert child(again(), "b.png").id != first


def test_a_call_with_other_options_is_another_call():
    plain = child(again(), "a.png").id
    assert child(again(), "a.png", retries=7).id != plain
    # What changes nothing is no change.
    assert child(again(), "a.png", retries=sample.classify.options.retries).id == plain
