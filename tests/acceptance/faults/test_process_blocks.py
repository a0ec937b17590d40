"""Jobs that let nothing else run in their replica for longer than its lease, and are not dead."""

import pytest

from reuse_queue import JobCanceled
from support.fleet_processes import FleetProcesses
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(60)

TASKS = """
import ctypes

@env.task
async def block(seconds: int) -> int:
    # The loop stands still; other threads may run.
    pid = begin()
    time.sleep(seconds)
    return pid

@env.task
async def hog(seconds: int) -> int:
    # A call into C that keeps the interpreter's lock: not one line of Python runs anywhere in here.
    pid = begin()
    ctypes.PyDLL(None).sleep(seconds)
    return pid

@env.task
async def spin(seconds: int) -> int:
    pid, until = begin(), time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return pid
"""


@pytest.mark.parametrize("how", ["block", "hog", "spin"])
def test_a_canceled_job_that_lets_its_replica_hear_nothing_is_ended_by_its_agent(
    short_leased: FleetProcesses, how: str
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1), concurrency=2, tasks=COROUTINES + TASKS)
    fleet.serve()
    beside = app.wait.enqueue()
    fleet.running(beside)
    blocking = getattr(app, how).enqueue(600)
    fleet.running(blocking)
    assert blocking.cancel()
    with pytest.raises(JobCanceled):
        blocking.result(timeout=30)
    fleet.open()
    fleet.finished([beside])
    assert fleet.snapshot().deaths[0].cause == "killed: a canceled job did not give way"
    assert len(fleet.runs(blocking)) == 1
    assert beside.job().deliveries_lost == 0


def test_whoever_blocks_the_loop_or_holds_the_interpreter_keeps_its_jobs(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(3, 3), concurrency=1, tasks=TASKS)
    fleet.serve()
    pids = {each.pid for each in fleet.ready(3)}
    lasts = round(fleet.settings.lease.total_seconds() * 2)
    jobs = [task.enqueue(lasts) for task in (app.block, app.hog, app.spin)]
    fleet.running(*jobs)
    # Only its agent can keep the lease of such a replica: none may ever have run out.
    assert set(fleet.finished(jobs)) == pids
    assert [job.job().deliveries_lost for job in jobs] == [0, 0, 0]
    assert [len(fleet.runs(job)) for job in jobs] == [1, 1, 1]
    assert fleet.snapshot().deaths == ()
    assert {each.pid for each in fleet.ready(3)} == pids


def test_a_job_that_outlasts_both_the_lease_and_the_order_to_stop_is_finished_and_recorded(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 2), concurrency=1, tasks=TASKS)
    _, agent = fleet.serve()
    lasts = round(fleet.settings.lease.total_seconds() * 2)
    job = app.block.enqueue(lasts)
    fleet.running(job)
    agent.terminate()
    fleet.agent("b")
    [pid] = fleet.finished([job])
    assert fleet.runs(job) == [pid]
    assert job.job().deliveries_lost == 0
    assert fleet.ended(agent) == 0
