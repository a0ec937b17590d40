"""A parent that starts again finds the children that it has enqueued before."""

import os
import signal
from typing import Any

import pytest

from reuse_queue import JobHandle
from support.fleet_processes import FleetProcesses

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.filterwarnings("ignore::reuse_queue.policy.StarvationWarning"),
]

# Children are in an environment of their own, so that a parent's replica can die alone; how often
# each ran stands in files.
TASKS = """
other = TaskEnvironment("other", reusable=ReusePolicy(replicas=(0, 1), concurrency=1))

def ran(what: object) -> None:
    with (FOLDER / f"ran-{what}").open("a") as file:
        file.write(f"{os.getpid()}\\n")

@other.task
async def child(n: int, gated: bool = False) -> int:
    ran(n)
    while gated and not (FOLDER / "gate").exists():
        await asyncio.sleep(0.02)
    return n * n

@env.task
async def parent() -> list[int]:
    begin()
    # Branches at the same time, in another order when it starts again.
    async def branch(n: int) -> int:
        late = n if (FOLDER / "killed").exists() else 5 - n
        await asyncio.sleep(late / 20)
        return await (await child.aenqueue(n, True))
    first = [await (await child.aenqueue(1)) for _ in range(2)]
    return first + await asyncio.gather(*map(branch, (2, 3, 4)))

@env.task
def parent_here() -> list[int]:
    begin()
    first = [child.enqueue(1).result() for _ in range(2)]
    several = child.enqueue_many([(2, True), (3, True)])
    return first + [each.result() for each in (*several, child.enqueue(4, True))]

@env.task
async def parent_that_maps() -> list[int]:
    begin()
    first = await child.amap([1, 1], max_in_flight=1)
    calls = (child.call(n, True) for n in (2, 3, 4))
    return first + await child.amap(calls, max_in_flight=2)

@env.task(retries=1, backoff=None)
async def flaky_parent() -> int:
    begin()
    square = await (await child.aenqueue(3))
    if current_job().retries_left:
        raise RuntimeError
    return square
"""


@pytest.fixture
def app(fleet: FleetProcesses) -> Any:
    app = fleet.write(replicas=(0, 1), concurrency=1, tasks=TASKS)
    app.other.bind(fleet.settings.redis_url)
    fleet.serve("whole_app:other")
    return app


def ran(fleet: FleetProcesses) -> dict[int, int]:
    """Return how often each child ran."""
    files = fleet.folder.glob("ran-*")
    return {int(file.name[4:]): len(file.read_text().split()) for file in files}


def waits(fleet: FleetProcesses, job: JobHandle[Any]) -> int:
    """Return the process where a parent waits for children of which some are done."""
    fleet.until(lambda: sum(ran(fleet).values()) >= 3, "two children done and one that runs")
    fleet.until(lambda: fleet.snapshot().waiting == 1, "a parent that waits")
    return fleet.runs(job)[-1]


@pytest.mark.parametrize("parent", ["parent", "parent_here", "parent_that_maps"])
def test_each_child_of_a_parent_whose_replica_is_killed_runs_once(
    fleet: FleetProcesses, app: Any, parent: str
):
    job = getattr(app, parent).enqueue()
    pid = waits(fleet, job)
    fleet.open("killed")
    os.kill(pid, signal.SIGKILL)
    fleet.until(lambda: len(fleet.runs(job)) == 2, "its second start")
    fleet.open()
    assert fleet.finished([job]) == [[1, 1, 4, 9, 16]]
    assert ran(fleet) == {1: 2, 2: 1, 3: 1, 4: 1}


def test_a_parent_that_is_tried_again_runs_its_children_anew(fleet: FleetProcesses, app: Any):
    job = app.flaky_parent.enqueue()
    fleet.until(lambda: job.status().ended, "its end")
    assert job.result(0) == 9
    assert (len(fleet.runs(job)), ran(fleet)) == (2, {3: 2})
