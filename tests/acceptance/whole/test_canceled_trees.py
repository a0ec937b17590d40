"""A job that is canceled, or too late, takes along what it has enqueued."""

from typing import Any

import pytest
from rq.command import send_stop_job_command

from reuse_queue import JobHandle, TaskFailed
from reuse_queue.broker.queue import JobQueue
from reuse_queue.job import Job, JobStatus
from support.fleet_processes import ENV, FleetProcesses

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.filterwarnings("ignore::reuse_queue.policy.StarvationWarning"),
]

TASKS = """
other = TaskEnvironment("other", reusable=ReusePolicy(replicas=(0, 1), concurrency=1))

async def passes() -> str:
    begin()
    while not (FOLDER / "gate").exists():
        await asyncio.sleep(0.02)
    return "passed"

@env.task
async def leaf(name: str) -> str:
    return await passes()

@other.task
async def free(name: str) -> str:
    return await passes()

@other.task
def middle() -> str:
    begin()
    running, queued = leaf.enqueue("runs"), leaf.enqueue("waits")
    return running.result() + queued.result()

@env.task
async def root() -> str:
    begin()
    await free.override(detached=True).aenqueue("detached")
    await leaf.override(delay=3600).aenqueue("scheduled")
    return await (await middle.aenqueue())

@env.task(timeout=1)
async def late() -> str:
    begin()
    await free.aenqueue("forgotten")
    return await (await free.aenqueue("awaited"))

@env.task(timeout=1)
def late_here() -> str:
    begin()
    free.enqueue("forgotten")
    return free.enqueue("awaited").result()
"""
CANCELED, STOPPED = JobStatus.CANCELED, JobStatus.STOPPED


@pytest.fixture
def app(fleet: FleetProcesses) -> Any:
    app = fleet.write(replicas=(0, 1), concurrency=1, tasks=TASKS)
    app.other.bind(fleet.settings.redis_url)
    fleet.serve("whole_app:other")
    return app


def children(fleet: FleetProcesses, job: Job) -> list[Job]:
    queue = JobQueue(fleet._connection.keys)
    ids = fleet._connection.run(queue.children(job.environment, job.id, 0, 100))
    return fleet._connection.run(queue.fetch_many(ids))


def by_cancel(fleet: FleetProcesses, job: JobHandle[Any]) -> None:
    assert job.cancel()


def by_command(fleet: FleetProcesses, job: JobHandle[Any]) -> None:
    fleet.command("jobs", "cancel", job.id)


def by_rqs_command(fleet: FleetProcesses, job: JobHandle[Any]) -> None:
    send_stop_job_command(fleet.raw, job.id)


@pytest.mark.parametrize("cancel", [by_cancel, by_command, by_rqs_command])
def test_a_canceled_tree_ends_in_all_environments_but_for_what_is_detached(
    fleet: FleetProcesses, app: Any, cancel
):
    job = app.root.enqueue()
    fleet.until(lambda: fleet.snapshot().waiting == 1, "the root that waits")
    fleet.until(lambda: fleet.snapshot("other").waiting == 1, "the middle that waits")
    detached, scheduled, middle = (app.env.handle(each.id) for each in children(fleet, job.job()))
    fleet.running(detached)
    leaves = [app.env.handle(each.id) for each in children(fleet, middle.job())]
    fleet.until(lambda: any(map(fleet.runs, leaves)), "a leaf that runs")
    assert sorted(each.status() for each in leaves) == ["queued", "started"]
    assert [each.status() for each in (scheduled, detached)] == ["scheduled", "started"]

    cancel(fleet, job)

    fleet.until(lambda: job.status().ended, "the end of the root")
    tree = [middle, *leaves, scheduled]
    fleet.until(lambda: all(each.status() is CANCELED for each in tree), "that of all others")
    assert job.status() is (STOPPED if cancel is by_rqs_command else CANCELED)
    assert sum(len(fleet.runs(each)) for each in leaves) == 1
    fleet.open()
    fleet.until(lambda: detached.status() is JobStatus.FINISHED, "that of the detached one")
    fleet.until(lambda: not fleet.raw.keys("reuse:*:felled"), "the end of all that is noted")


@pytest.mark.parametrize("task", ["late", "late_here"])
def test_children_of_a_parent_past_its_timeout_are_canceled(
    fleet: FleetProcesses, app: Any, task: str
):
    job = getattr(app, task).enqueue()
    with pytest.raises(TaskFailed, match="timeout"):
        job.result(20)
    both = [app.other.handle(each.id) for each in children(fleet, job.job())]
    assert len(both) == 2
    fleet.until(lambda: all(each.status() is CANCELED for each in both), "the end of its children")
    assert fleet.snapshot(ENV).waiting == 0


def test_a_parent_that_gives_up_a_child_which_only_their_replicas_end_can_end_is_dead_in_the_end(
    fleet: FleetProcesses,
):
    tasks = """
@env.task
def endless() -> None:
    begin()
    while True:
        time.sleep(0.02)

@env.task
def impatient() -> None:
    begin()
    gather(endless.enqueue(), timeout=0.1)
"""
    app = fleet.write(
        replicas=(0, 1), concurrency=1, tasks=f"from reuse_queue import gather\n{tasks}"
    )
    fleet.serve()
    job = app.impatient.enqueue()
    with pytest.raises(TaskFailed, match="lost"):
        job.result(60)
    assert len(fleet.runs(job)) == 3
