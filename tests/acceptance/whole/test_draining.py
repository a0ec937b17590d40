"""What is told to stop finishes what it runs and gives back the rest; operators' orders hold."""

from datetime import timedelta

import pytest

from reuse_queue import TaskFailed
from reuse_queue.facts import ReplicaState
from reuse_queue.job import JobStatus
from support.fleet_processes import ENV, FleetProcesses
from support.lab import processes_in

pytestmark = pytest.mark.timeout(60)

STAY = """
@env.task
def stay() -> None:
    begin()
    time.sleep(600)

@env.task(redeliver=False)
def once() -> None:
    begin()
    time.sleep(600)
"""


def test_sigterm_to_an_agent_under_load_finishes_what_runs_and_keeps_the_rest(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 2))
    scaler, agent = fleet.serve()
    jobs = app.wait.enqueue_many([()] * 10)
    fleet.running(*jobs[:4])
    agent.terminate()
    # The replicas, not only their host: one that has not heard of it yet would go on claiming.
    states = {ReplicaState.DRAINING}
    fleet.until(lambda: {each.state for each in fleet.snapshot().replicas} == states, "draining")
    assert [host.draining for host in fleet.hosts()] == [True]
    fleet.open()
    assert fleet.ended(agent) == 0
    assert [len(fleet.runs(job)) for job in jobs] == [1] * 4 + [0] * 6
    fleet.finished(jobs[:4])
    assert {job.status() for job in jobs[4:]} == {JobStatus.QUEUED}
    assert [process.pid for process in processes_in(fleet.folder)] == [scaler.pid]
    fleet.nothing_is_held()

    fleet.agent()
    fleet.finished(jobs)
    assert {job.job().deliveries_lost for job in jobs} == {0}
    assert fleet.snapshot().deaths == ()


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_when_the_grace_is_over_jobs_go_back_but_for_those_that_may_run_only_once(
    fleet: FleetProcesses, kind: str
):
    fleet.settings_of_processes(drain_grace=timedelta(seconds=0.2))
    tasks = STAY if kind == "def" else STAY.replace("def", kind).replace("time", "await asyncio")
    app = fleet.write(replicas=(0, 2), concurrency=1, tasks=tasks)
    _, agent = fleet.serve()
    often, once = app.stay.enqueue(), app.once.enqueue()
    fleet.running(often, once)
    agent.terminate()
    assert fleet.ended(agent) == 0
    assert often.status() is JobStatus.QUEUED
    with pytest.raises(TaskFailed, match=r"JobLost.*may run only once"):
        once.result(timeout=0)
    fleet.nothing_is_held()


def test_a_drained_replica_finishes_its_jobs_and_another_one_takes_its_place(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 1))
    fleet.serve()
    jobs = app.wait.enqueue_many([()] * 4)
    fleet.running(*jobs[:2])
    [first] = fleet.ready(1)
    assert "2 jobs" in fleet.command("replicas", "drain", first.name)
    fleet.running(*jobs[2:])
    assert fleet.runs(jobs[2]) != [first.pid]
    fleet.open()
    fleet.gone(first.name)
    assert fleet.finished(jobs[:2]) == [first.pid] * 2
    fleet.finished(jobs[2:])
    assert fleet.snapshot().deaths == ()


def test_a_drained_environment_keeps_its_jobs_until_it_is_resumed(fleet: FleetProcesses):
    app = fleet.write(replicas=(1, 2))
    fleet.serve()
    jobs = app.wait.enqueue_many([()] * 2)
    fleet.running(*jobs)
    fleet.command("env", "drain", ENV)
    more = app.add.enqueue(1, 2)
    fleet.until(
        lambda: all(each.drain_reason for each in fleet.snapshot().replicas), "the drain of all"
    )
    fleet.open()
    fleet.gone()
    fleet.finished(jobs)
    assert more.status() is JobStatus.QUEUED
    assert "drained" in fleet.decisions()[0].reason
    fleet.command("env", "resume", ENV)
    assert fleet.finished([more]) == [3]


def test_a_paused_environment_stays_warm_and_claims_nothing(fleet: FleetProcesses):
    app = fleet.write(replicas=(1, 2))
    fleet.serve()
    [replica] = fleet.ready(1)
    fleet.command("env", "pause", ENV)
    jobs = app.wait.enqueue_many([()] * 3)
    # The replica has taken one off the list, and been refused it.
    fleet.until(lambda: fleet.snapshot().backlog == 3, "the jobs")
    beat = fleet.snapshot().replicas[0].lease_until
    fleet.until(lambda: fleet.snapshot().replicas[0].lease_until != beat, "a beat")
    assert [each.name for each in fleet.ready(1)] == [replica.name]
    assert {job.status() for job in jobs} == {JobStatus.QUEUED}
    fleet.command("env", "resume", ENV)
    fleet.running(*jobs)
    fleet.open()
    assert replica.pid in fleet.finished(jobs)


def test_an_operators_bounds_hold_until_they_are_reset(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 1), down=1)
    fleet.serve()
    fleet.command("env", "scale", ENV, "--min", "2", "--max", "3")
    fleet.ready(2)
    jobs = app.wait.enqueue_many([()] * 8)
    fleet.ready(3)
    fleet.open()
    fleet.finished(jobs)
    fleet.ready(2)
    fleet.command("env", "scale", ENV, "--reset")
    fleet.gone()
    assert app.add.enqueue(1, 2).result(timeout=20) == 3
