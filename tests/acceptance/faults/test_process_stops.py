"""Processes that stand still for longer than their lease (SIGSTOP), and go on afterwards."""

import psutil
import pytest

from reuse_queue import JobStatus
from support.fleet_processes import FleetProcesses

pytestmark = pytest.mark.timeout(90)

AHEAD = """
@env.task
async def brief() -> None:
    pass

@env.task
async def hold() -> int:
    # The loop stands still: what was claimed ahead stays with its replica.
    pid = begin()
    while not (FOLDER / "gate").exists():
        time.sleep(0.02)
    return pid

@env.task
async def again() -> int:
    return begin()

@env.task(redeliver=False)
async def once() -> int:
    return begin()
"""


def test_the_jobs_of_a_stopped_replica_run_elsewhere_and_its_agent_ends_it(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1))
    fleet.serve()
    job = app.wait.enqueue()
    fleet.running(job)
    stopped = psutil.Process(fleet.ready(1)[0].pid)
    stopped.suspend()
    fleet.until(lambda: len(fleet.runs(job)) == 2, "the second run")
    fleet.until(lambda: not stopped.is_running(), "the end of the stopped one")
    fleet.open()
    assert fleet.finished([job]) == [fleet.runs(job)[1]]
    assert job.job().deliveries_lost == 1


def test_what_a_host_that_stood_still_says_too_late_is_not_recorded(short_leased: FleetProcesses):
    """A virtual machine that was paused: agent and replica do not know that time has passed."""
    fleet = short_leased
    app = fleet.write(replicas=(0, 1))
    _, agent = fleet.serve()
    jobs = app.wait.enqueue_many([()] * 2)
    fleet.running(*jobs)
    agent_a, late = psutil.Process(agent.pid), psutil.Process(fleet.ready(1)[0].pid)
    agent_a.suspend()
    late.suspend()
    fleet.agent("b")
    fleet.until(lambda: [len(fleet.runs(job)) for job in jobs] == [2, 2], "the second runs")
    fleet.open("gate")
    results = fleet.finished(jobs)
    assert results == [fleet.runs(job)[1] for job in jobs]

    # It finds its gate open, returns, and has something to record; its agent is still still.
    late.resume()
    fleet.until(lambda: "replica fenced" in fleet.logs(), "what it does about it")
    agent_a.resume()
    fleet.until(lambda: not late.is_running(), "its end")

    assert fleet.finished(jobs) == results
    assert [len(fleet.runs(job)) for job in jobs] == [2, 2]
    assert fleet.snapshot().finished_total == len(jobs)
    assert {each.pid for each in fleet.ready(1)} == set(results)


def test_what_a_host_that_stood_still_had_claimed_ahead_does_not_begin_there(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1), tasks=AHEAD)
    _, agent = fleet.serve()
    app.brief.enqueue_many([()] * 300)
    job = app.hold.enqueue()
    jobs = [task.enqueue() for _ in range(100) for task in (app.again, app.once)]
    fleet.running(job)
    ahead = [each for each in jobs if each.status() is JobStatus.STARTED]
    assert len(ahead) > 1
    agent_a, late = psutil.Process(agent.pid), psutil.Process(fleet.ready(1)[0].pid)
    agent_a.suspend()
    late.suspend()
    fleet.agent("b")
    fleet.until(lambda: len(fleet.runs(job)) == 2, "the second run")
    fleet.open()
    fleet.until(lambda: all(each.status().ended for each in jobs), "the others' ends")
    before = {each.id: fleet.runs(each) for each in jobs}

    # It finds its gate open, and would go on with what it has.
    late.resume()
    fleet.until(lambda: "replica fenced" in fleet.logs(), "what it does about it")
    agent_a.resume()
    fleet.until(lambda: not late.is_running(), "its end")

    assert {each.id: fleet.runs(each) for each in jobs} == before
    assert {len(runs) for runs in before.values()} <= {0, 1}
