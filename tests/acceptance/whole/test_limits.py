"""Jobs that take too long, kill what runs them, or are not wanted any more."""

import psutil
import pytest

from reuse_queue import JobCanceled, TaskFailed
from reuse_queue.job import JobStatus
from support.fleet_processes import FleetProcesses
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(60)

TASKS = """
@env.task(timeout=1, retries=1, backoff=None)
async def late_at_first() -> str:
    begin()
    if current_job().retries_left:
        await asyncio.sleep(600)
    return "in time"

@env.task(timeout=1)
async def late() -> None:
    begin()
    await asyncio.sleep(600)

@env.task(timeout=1)
async def block() -> None:
    begin()
    time.sleep(600)

@env.task
async def poison() -> None:
    begin()
    os._exit(7)

@env.task
async def tidy() -> None:
    begin()
    try:
        await asyncio.sleep(600)
    finally:
        (FOLDER / "tidied").touch()
"""
SYNC = """
@env.task(timeout=1)
def spin() -> None:
    begin()
    while True:
        pass

@env.task
def stay() -> None:
    begin()
    time.sleep(600)

@env.task
def add(a: int, b: int) -> int:
    begin()
    return a + b
"""


def test_a_coroutine_past_its_timeout_fails_and_is_tried_again(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 1), concurrency=4, tasks=COROUTINES + TASKS)
    fleet.serve()
    again, once, beside = app.late_at_first.enqueue(), app.late.enqueue(), app.wait.enqueue()
    assert again.result(timeout=20) == "in time"
    with pytest.raises(TaskFailed, match="longer than its timeout of 1 s"):
        once.result(timeout=20)
    assert [len(fleet.runs(each)) for each in (again, once)] == [2, 1]
    fleet.open()
    fleet.finished([beside])
    assert len(fleet.runs(beside)) == 1
    assert fleet.snapshot().deaths == ()


def test_sync_code_that_never_yields_is_killed_and_no_other_job_is_charged(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 2), concurrency=1, tasks=SYNC)
    fleet.serve()
    spins = app.spin.enqueue_many([()] * 2)
    jobs = app.add.enqueue_many([(number, 1) for number in range(20)])
    for job in spins:
        with pytest.raises(TaskFailed, match=r"JobTimeout.*its replica was killed"):
            job.result(timeout=20)
    assert fleet.finished(jobs) == list(range(1, 21))
    assert {(job.job().deliveries_lost, len(fleet.runs(job))) for job in jobs} == {(0, 1)}
    assert {each.cause for each in fleet.snapshot().deaths} == {
        "killed: a job ran past its timeout"
    }


def test_a_coroutine_that_blocks_its_loop_is_killed_and_who_ran_beside_it_runs_again(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 1), concurrency=4, tasks=COROUTINES + TASKS)
    fleet.serve()
    beside = app.wait.enqueue_many([()] * 2)
    fleet.running(*beside)
    blocker = app.block.enqueue()
    with pytest.raises(TaskFailed, match="JobTimeout"):
        blocker.result(timeout=20)
    fleet.open()
    fleet.finished(beside)
    assert [len(fleet.runs(job)) for job in (blocker, *beside)] == [1, 2, 2]
    assert {job.job().deliveries_lost for job in beside} == {0}


def test_a_job_that_kills_its_replicas_is_dead_after_three_while_the_others_finish(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 2), concurrency=1, tasks=COROUTINES + TASKS)
    fleet.serve()
    before = app.add.enqueue_many([(number, 1) for number in range(10)])
    poison = app.poison.enqueue()
    after = app.add.enqueue_many([(number, 2) for number in range(10)])
    with pytest.raises(TaskFailed, match="lost with its replica 3 times, of at most 3"):
        poison.result(timeout=40)
    assert len(fleet.runs(poison)) == 3
    assert len(poison.job().deaths) == 3
    assert fleet.finished(before) == list(range(1, 11))
    assert fleet.finished(after) == list(range(2, 12))
    assert {job.job().deliveries_lost for job in (*before, *after)} == {0}
    assert not fleet.snapshot().environment.degraded


def test_a_job_that_kills_its_replicas_is_charged_alone_and_who_ran_beside_it_finishes(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 1), concurrency=8, tasks=COROUTINES + TASKS)
    fleet.serve()
    beside = app.wait.enqueue_many([()] * 4)
    fleet.running(*beside)
    poison = app.poison.enqueue()
    with pytest.raises(TaskFailed, match="lost with its replica 3 times, of at most 3"):
        poison.result(timeout=40)
    fleet.open()
    fleet.finished(beside)
    assert {job.job().deliveries_lost for job in beside} == {0}


def test_a_canceled_coroutine_runs_its_finally_blocks_and_its_replica_lives(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 1), concurrency=4, tasks=COROUTINES + TASKS)
    fleet.serve()
    job, beside = app.tidy.enqueue(), app.wait.enqueue()
    fleet.running(job, beside)
    assert "runs" in fleet.command("jobs", "cancel", job.id)
    with pytest.raises(JobCanceled):
        job.result(timeout=20)
    assert (fleet.folder / "tidied").exists()
    fleet.open()
    assert fleet.finished([beside]) == fleet.runs(job)
    assert fleet.snapshot().deaths == ()


def test_a_canceled_sync_job_is_killed_with_its_replica_and_the_next_job_runs(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 2), concurrency=1, tasks=SYNC)
    fleet.serve()
    job = app.stay.enqueue()
    fleet.running(job)
    [first] = fleet.ready(1)
    fleet.command("jobs", "cancel", job.id)
    with pytest.raises(JobCanceled):
        job.result(timeout=20)
    assert not psutil.pid_exists(first.pid)
    assert job.status() is JobStatus.CANCELED
    assert fleet.finished([app.add.enqueue(1, 2)]) == [3]
    assert len(fleet.runs(job)) == 1
