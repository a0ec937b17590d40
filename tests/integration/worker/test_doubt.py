"""Time has passed that a replica did not see: is the lease still its own?"""

import time
from collections.abc import Callable

import pytest
from rq.job import JobStatus

from integration.worker.conftest import KEYS, Lab
from reuse_worker import claimer
from reuse_worker.exit_code import ExitCode
from reuse_worker.tenure import Tenure
from support.eventually import eventually

seen: list[str] = []
doubts: list[Callable[[], None]] = []
leaps: list[Callable[[], object]] = []


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that sleeps for an hour when a job says so; replicas claim two jobs ahead."""
    for each in (seen, doubts, leaps):
        each.clear()
    passed, clock, once_sure = [0.0], time.clock_gettime, Tenure.once_sure

    def doubted(tenure: Tenure, go_on: Callable[[], None]) -> None:
        doubts.append(go_on)
        once_sure(tenure, go_on)

    leaps.append(lambda: passed.append(3600.0))
    monkeypatch.setattr(time, "clock_gettime", lambda which: clock(which) + sum(passed))
    monkeypatch.setattr(Tenure, "once_sure", doubted)
    monkeypatch.setattr(
        claimer, "claim_size", lambda *, free, ahead, **_: 3 if free and not ahead else 0
    )


async def leap() -> None:
    leap_here()


async def note() -> None:
    note_here()


def leap_here() -> None:
    seen.append("leap")
    for each in leaps:
        each()


def note_here() -> None:
    seen.append("note")


both = pytest.mark.parametrize(
    ("first", "other"), [(leap, note), (leap_here, note_here)], ids=["coroutines", "plain"]
)


@both
async def test_what_is_held_unbegun_begins_when_the_lease_was_renewed(
    lab: Lab, first: Callable[..., object], other: Callable[..., object]
):
    lab.serve(first, other, concurrency=1)
    jobs = [lab.enqueue(each) for each in (first, other, other)]
    async with lab.replica():
        await eventually(lambda: all(job.get_status() is JobStatus.FINISHED for job in jobs))
    assert seen == ["leap", "note", "note"]
    assert len(doubts) == 1


@both
async def test_it_does_not_begin_where_the_lease_was_lost(
    lab: Lab, first: Callable[..., object], other: Callable[..., object]
):
    lab.serve(first, other, concurrency=1)
    jobs = [lab.enqueue(each) for each in (first, other, other)]
    leaps.append(lambda: lab.raw.zrem(KEYS.replicas("lab"), "r1"))
    leaps.append(lambda: lab.raw.delete(KEYS.replica("lab", "r1")))
    async with lab.replica() as running:
        assert await running.code() == ExitCode.FENCED
        assert running.board.read() == []
    assert seen == ["leap"]
    assert len(doubts) == 1
    # Given back, or left to whoever reclaims them.
    assert {job.get_status() for job in jobs[1:]} <= {JobStatus.QUEUED, JobStatus.STARTED}
