"""Jobs that are not wanted any more, or have no time left, wherever they are."""

import psutil
import pytest
from rq.command import send_stop_job_command

from reuse_queue import JobCanceled, JobStatus, TaskFailed
from support.fleet_processes import FleetProcesses
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(60)

TASKS = """
@env.task
async def ignore() -> None:
    begin()
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            continue

@env.task
async def tidy() -> None:
    begin()
    try:
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(0.05)
        (FOLDER / f"tidied-{current_job().id}").touch()

@env.task(retries=5, backoff=0.1)
async def fail() -> None:
    begin()
    raise ValueError("not yet")
"""
SYNC = """
@env.task(retries=5)
def stay() -> None:
    begin()
    time.sleep(600)

@env.task
def answer() -> int:
    return begin()
"""
TOLD = """
def tell(job, word: str) -> None:
    with (FOLDER / f"told-{job.id}").open("a") as told:
        told.write(word + "\\n")

@env.callback
def mourn(job, connection, kind, error, trace) -> None:
    tell(job, kind.__name__)

@env.callback
def rest(job, connection) -> None:
    tell(job, "stopped")

@env.task
def hang() -> None:
    begin()
    time.sleep(600)

@env.task(on_failure=mourn)
def crash() -> None:
    begin()
    os._exit(3)
"""


def test_a_canceled_coroutine_that_does_not_give_way_ends_with_its_replica_and_alone(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1), concurrency=4, tasks=COROUTINES + TASKS)
    fleet.serve()
    stubborn, beside = app.ignore.enqueue(), app.wait.enqueue_many([()] * 2)
    fleet.running(stubborn, *beside)
    [first] = fleet.ready(1)
    assert stubborn.cancel()
    with pytest.raises(JobCanceled):
        stubborn.result(timeout=20)
    fleet.until(lambda: not psutil.pid_exists(first.pid), "the end of its replica")
    fleet.open()
    fleet.finished(beside)
    assert [job.job().deliveries_lost for job in beside] == [0, 0]
    assert fleet.snapshot().deaths[0].cause == "killed: a canceled job did not give way"
    assert len(fleet.runs(stubborn)) == 1


def test_coroutines_end_at_their_deadline_or_by_rqs_command_and_their_replica_lives(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1), concurrency=4, tasks=COROUTINES + TASKS)
    fleet.serve()
    late, stopped = app.tidy.override(deadline=1).enqueue(), app.tidy.enqueue()
    failing = app.fail.override(deadline=0.4).enqueue()
    fleet.running(late, stopped)
    pid = fleet.ready(1)[0].pid
    send_stop_job_command(fleet.raw, stopped.id, serializer="json")
    with pytest.raises(JobCanceled, match="stopped"):
        stopped.result(timeout=20)
    with pytest.raises(TaskFailed, match="DeadlinePassed"):
        late.result(timeout=20)
    assert all((fleet.folder / f"tidied-{job.id}").exists() for job in (late, stopped))
    # Five retries would have fit into two seconds: not into its deadline.
    with pytest.raises(TaskFailed, match=r"not yet|DeadlinePassed"):
        failing.result(timeout=20)
    assert 1 <= len(fleet.runs(failing)) < 6
    assert (fleet.ready(1)[0].pid, fleet.snapshot().deaths) == (pid, ())
    fleet.open()
    assert fleet.finished([app.wait.enqueue()]) == [pid]


def test_sync_code_past_its_deadline_or_stopped_by_rq_is_killed_and_nothing_else_is_lost(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 2), concurrency=1, tasks=SYNC)
    fleet.serve()
    late, stopped = app.stay.override(deadline=2).enqueue(), app.stay.enqueue()
    fleet.running(late, stopped)
    others = app.answer.enqueue_many([()] * 10)
    send_stop_job_command(fleet.raw, stopped.id, serializer="json")
    with pytest.raises(JobCanceled, match="stopped"):
        stopped.result(timeout=20)
    with pytest.raises(TaskFailed, match=r"DeadlinePassed: .* 2 s after it was enqueued"):
        late.result(timeout=20)
    fleet.finished(others)
    assert [len(fleet.runs(job)) for job in (late, stopped, *others)] == [1] * 12
    assert {job.job().deliveries_lost for job in others} == {0}


def test_who_is_to_be_told_of_an_end_is_told_though_the_replica_was_killed_for_it(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 2), concurrency=1, tasks=SYNC + TOLD)
    fleet.serve()
    ends = app.hang.override(on_failure=app.mourn, on_stopped=app.rest)
    late, stopped, canceled = ends.override(timeout=1).enqueue(), ends.enqueue(), ends.enqueue()
    never = app.answer.override(queue_timeout=0.2, on_failure=app.mourn)
    fleet.running(stopped)
    send_stop_job_command(fleet.raw, stopped.id, serializer="json")
    fleet.running(canceled)
    assert canceled.cancel()
    with pytest.raises(TaskFailed, match="JobTimeout: job"):
        late.result(timeout=30)
    for job in (stopped, canceled):
        with pytest.raises(JobCanceled):
            job.result(timeout=30)
    # Not beside them: what it takes along unrecorded is called again.
    deadly = app.crash.enqueue()
    with pytest.raises(TaskFailed, match=r"JobLost: job .* 3 times"):
        deadly.result(timeout=30)
    fleet.command("env", "pause", "whole")
    unwanted = never.enqueue()
    fleet.until(lambda: unwanted.job().start_by is None, "the end of its queue_timeout")
    fleet.command("env", "resume", "whole")
    with pytest.raises(TaskFailed, match="QueueTimeout: job"):
        unwanted.result(timeout=30)
    told = {
        job: (fleet.folder / f"told-{job.id}").read_text().splitlines()
        for job in (late, stopped, canceled, deadly, unwanted)
    }
    assert told == {
        late: ["JobTimeout"],
        stopped: ["stopped"],
        canceled: ["stopped"],
        deadly: ["JobLost"],
        unwanted: ["QueueTimeout"],
    }
    runs = [len(fleet.runs(job)) for job in (late, stopped, canceled, deadly, unwanted)]
    assert runs == [1, 1, 1, 3, 0]


def test_what_waits_is_canceled_at_once_and_fails_when_it_has_waited_too_long(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(tasks=COROUTINES)
    fleet.scaler()
    # There is no host: nobody will ever take one.
    queued, scheduled = app.wait.enqueue(), app.wait.override(delay=600).enqueue()
    waits = app.wait.override(queue_timeout=0.5, deadline=600)
    late, wanted = waits.enqueue(), waits.override(queue_timeout=600).enqueue()
    assert queued.cancel()
    assert scheduled.cancel()
    for job in (queued, scheduled):
        with pytest.raises(JobCanceled):
            job.result(timeout=20)
    with pytest.raises(TaskFailed, match=r"QueueTimeout: .* not started within its queue_timeout"):
        late.result(timeout=20)
    shown = fleet.command("jobs", "show", wanted.id)
    assert "queue timeout  10m, over " in shown
    assert "deadline       10m, over " in shown
    assert wanted.status() is JobStatus.QUEUED
    fleet.agent()
    fleet.open()
    fleet.finished([wanted])
    assert [fleet.runs(job) for job in (queued, scheduled, late)] == [[], [], []]
