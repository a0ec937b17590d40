"""kill -9, of anything and of all at once: every job ends, each with one result."""

import os
import signal

import psutil
import pytest

from support.fleet_processes import FleetProcesses
from support.lab import processes_in

pytestmark = pytest.mark.timeout(90)


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_the_jobs_of_a_killed_replica_run_on_another_one(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 1))
    fleet.serve()
    jobs = app.wait.enqueue_many([()] * 2)
    fleet.running(*jobs)
    [first] = fleet.ready(1)
    kill(first.pid)
    fleet.gone(first.name)
    fleet.open()
    results = fleet.finished(jobs)
    assert [job.job().deliveries_lost for job in jobs] == [1, 1]
    assert [fleet.runs(job) for job in jobs] == [[first.pid, pid] for pid in results]
    [death] = fleet.snapshot().deaths
    assert (death.replica, death.cause, death.held) == (first.name, "killed by SIGKILL", 2)


def test_a_killed_zygote_costs_no_job_and_the_next_one_serves(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 2), concurrency=1)
    _, agent = fleet.serve()
    job = app.wait.enqueue()
    fleet.running(job)
    zygote = fleet.zygote(agent)
    zygote.kill()
    fleet.until(lambda: not zygote.is_running(), "its end")
    other = app.wait.enqueue()
    fleet.running(other)
    fleet.open()
    pids = fleet.finished([job, other])
    assert [fleet.runs(each) for each in (job, other)] == [[pid] for pid in pids]
    assert fleet.snapshot().deaths == ()


def test_a_killed_agent_takes_its_replicas_along_and_another_host_runs_their_jobs(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 1))
    _, agent = fleet.serve()
    jobs = app.wait.enqueue_many([()] * 2)
    fleet.running(*jobs)
    replica = psutil.Process(fleet.ready(1)[0].pid)
    zygote = fleet.zygote(agent)
    agent.kill()
    fleet.ended(agent)
    fleet.until(lambda: not (replica.is_running() or zygote.is_running()), "the end of its own")
    fleet.agent("b")
    fleet.until(lambda: len(fleet.runs(jobs[0])) == 2, "the second run")
    fleet.open()
    fleet.finished(jobs)
    assert fleet.ready(1)[0].host == "b"
    assert [host.name for host in fleet.hosts()] == ["b"]


def test_a_standby_takes_the_lead_from_a_killed_scaler(fleet: FleetProcesses):
    app = fleet.write()
    leader, _ = fleet.serve()
    assert fleet.leader() == leader.pid
    standby = fleet.scaler()
    leader.kill()
    job = app.add.enqueue(1, 2)
    assert fleet.finished([job]) == [3]
    assert fleet.leader() == standby.pid


def test_all_at_once(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 4))
    leader, doomed = fleet.serve()
    fleet.scaler()
    other = fleet.agent("b")
    fleet.offered(on="b")
    jobs = app.doze.enqueue_many([(0.05 * (number % 8),) for number in range(80)])
    replicas = fleet.ready(4)
    fleet.until(lambda: fleet.snapshot().finished_total >= 4, "some work")
    zygote = fleet.zygote(other)
    victim = next(each for each in replicas if each.host == "b")
    kill(victim.pid, zygote.pid, doomed.pid, leader.pid)
    fleet.finished(jobs)
    # Of all that was killed, only these ran jobs.
    hit = {victim.pid} | {each.pid for each in replicas if each.host == "a"}
    for first, *more in map(fleet.runs, jobs):
        assert len(more) == 0 or (len(more) == 1 and first in hit)
    assert fleet.snapshot().finished_total == len(jobs)
    here = {each.pid for each in processes_in(fleet.folder)}
    left = {each.pid for each in replicas if each.host == "b"} - {victim.pid}
    assert here.intersection(each.pid for each in replicas) == left


def test_a_host_that_stood_still_begins_nothing_that_is_another_ones_by_now(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(1, 1))
    _, agent = fleet.serve()
    [first] = fleet.ready(1)
    stopped = [psutil.Process(agent.pid), psutil.Process(first.pid)]
    for process in stopped:
        process.suspend()
    fleet.agent("b")
    # The one that stands still has asked Redis for a job, and is given this one.
    job = app.add.enqueue(1, 2)
    fleet.finished([job])
    for process in reversed(stopped):
        process.resume()
    fleet.until(lambda: not stopped[1].is_running(), "its end")
    assert len(fleet.runs(job)) == 1
    assert first.pid not in fleet.runs(job)
