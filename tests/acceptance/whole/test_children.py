"""Tasks that wait for tasks, in a fleet with a single slot for each environment."""

import os
import signal

import pytest

from reuse_queue import TaskFailed
from reuse_queue.job import JobStatus
from support.fleet_processes import FleetProcesses

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.filterwarnings("ignore::reuse_queue.policy.StarvationWarning"),
]

TASKS = """
other = TaskEnvironment("other", reusable=policy)

@env.task
async def ping(times: int) -> int:
    return 1 + await (await pong.aenqueue(times - 1)) if times else 0

@other.task
def pong(times: int) -> int:
    return 1 + ping.enqueue(times - 1).result() if times else 0

@env.task
async def descend(depth: int) -> int:
    begin()
    if depth:
        return 1 + await (await descend.aenqueue(depth - 1))
    while not (FOLDER / "gate").exists():
        await asyncio.sleep(0.02)
    return 0

@env.task
def descend_here(depth: int) -> int:
    begin()
    if depth:
        return 1 + descend_here.enqueue(depth - 1).result()
    while not (FOLDER / "gate").exists():
        time.sleep(0.02)
    return 0

@env.task
def call_for_ever() -> int:
    begin()
    return descend_here.enqueue(0).result()
"""


def test_two_environments_with_one_slot_each_call_each_other(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 1), concurrency=1, tasks=TASKS)
    app.other.bind(fleet.settings.redis_url)
    fleet.serve("whole_app:other")
    jobs = app.ping.enqueue_many([(20,)] * 3)
    assert fleet.finished(jobs) == [20] * 3


@pytest.mark.parametrize("task", ["descend", "descend_here"])
def test_parents_that_wait_are_no_demand_and_their_replica_is_not_spared(
    fleet: FleetProcesses, task: str
):
    app = fleet.write(replicas=(0, 3), concurrency=1, tasks=TASKS, down=0.5, idle=2)
    fleet.serve()
    job = getattr(app, task).enqueue(3)
    fleet.until(lambda: fleet.snapshot().waiting == 3, "three parents that wait")
    assert fleet.snapshot().demand == 1
    fleet.open()
    assert fleet.finished([job]) == [3]
    fleet.gone()
    assert fleet.snapshot().deaths == ()


@pytest.mark.parametrize("task", ["descend", "descend_here"])
def test_a_killed_replica_costs_only_the_child_that_ran(fleet: FleetProcesses, task: str):
    app = fleet.write(replicas=(0, 1), concurrency=1, tasks=TASKS)
    fleet.serve()
    job = getattr(app, task).enqueue(3)
    fleet.until(lambda: fleet.snapshot().waiting == 3, "three parents that wait")
    [first] = fleet.ready(1)
    os.kill(first.pid, signal.SIGKILL)
    fleet.gone(first.name)
    fleet.open()
    assert fleet.finished([job]) == [3]
    assert job.job().deliveries_lost == 0
    [death] = fleet.snapshot().deaths
    assert (death.cause, death.held) == ("killed by SIGKILL", 4)


def test_a_plain_function_that_is_canceled_while_it_waits_is_ended(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 1), concurrency=1, tasks=TASKS)
    fleet.serve()
    job = app.call_for_ever.enqueue()
    fleet.until(lambda: fleet.snapshot().waiting == 1, "a parent that waits")
    assert job.cancel()
    fleet.until(lambda: job.status() is JobStatus.CANCELED, "its end")
    fleet.open()


def test_a_plain_function_that_waits_longer_than_its_timeout_is_ended(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 1), concurrency=1, tasks=TASKS)
    fleet.serve()
    job = app.call_for_ever.override(timeout=1).enqueue()
    with pytest.raises(TaskFailed, match="timeout"):
        job.result(20)
    fleet.open()
