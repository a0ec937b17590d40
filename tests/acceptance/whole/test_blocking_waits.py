"""A coroutine that would block the loop on which what it waits for is to run."""

import pytest

from reuse_queue import TaskFailed
from support.fleet_processes import FleetProcesses

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.filterwarnings("ignore::reuse_queue.policy.StarvationWarning"),
]

TASKS = """
from reuse_queue import gather

@env.task
async def leaf(value: int) -> int:
    begin()
    return value + 1

@env.task
async def blocks(how: str) -> int:
    if how == "call":
        return leaf.enqueue_and_wait(1)
    if how == "map":
        return list(leaf.map([1]))[0]
    child = await leaf.aenqueue(1)
    return gather(child)[0] if how == "gather" else child.result()

@env.task
async def elsewhere() -> int:
    return await asyncio.to_thread(leaf.enqueue_and_wait, 1)

@env.task
async def waits(job_id: str) -> int:
    return await leaf.handle(job_id)
"""


def test_a_coroutine_that_would_block_its_replica_fails_at_once(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 1), concurrency=2, tasks=TASKS)
    fleet.serve()
    for how in ("call", "map", "gather", "result"):
        with pytest.raises(TaskFailed, match="WouldBlock: A coroutine on a replica must not"):
            app.blocks.enqueue(how).result(30)
    assert app.elsewhere.enqueue().result(30) == 2


def test_a_crowd_of_jobs_that_wait_for_one_behind_them_in_the_queue_comes_to_it(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 1), concurrency=1, tasks=TASKS)
    fleet.serve()
    awaited = app.leaf.override(delay=1).enqueue(5)
    crowd = app.waits.enqueue_many([(awaited.id,)] * 37)
    assert [each.result(40) for each in crowd] == [6] * 37
