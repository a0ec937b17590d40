"""Trees of hundreds of jobs, and one parent with ten thousand children, in a single slot."""

from typing import Any

import pytest

from support.fleet_processes import FleetProcesses
from trees import large

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::reuse_queue.policy.StarvationWarning"),
]
CHILDREN = 10_000
TASKS = """
from reuse_queue import agather, gather
other = TaskEnvironment("other", reusable=ReusePolicy(replicas=(0, 1), concurrency=100))

@other.task
async def child(number: int) -> int:
    return number

async def awaits_each(handles: list) -> list[int]:
    return await asyncio.gather(*handles)

async def awaits_all(handles: list) -> list[int]:
    return await agather(*handles)

@env.task
async def parent(children: int, how: str) -> int:
    handles = await child.aenqueue_many([(number,) for number in range(children)])
    return sum(await {"each": awaits_each, "all": awaits_all}[how](handles))

@env.task
def parent_here(children: int, how: str) -> int:
    return sum(gather(*child.enqueue_many([(number,) for number in range(children)])))
"""


@pytest.mark.parametrize("task", ["grows", "grows_here"])
def test_trees_of_any_shape_finish_in_one_slot(fleet: FleetProcesses, task: str):
    app = large.serve(fleet)
    for widths in ([1] * 50, [30, 30], [2] * 9):
        assert fleet.finished([getattr(app, task).enqueue(widths)], 60) == [large.jobs(widths)]


@pytest.mark.parametrize(
    ("task", "how"), [("parent", "each"), ("parent", "all"), ("parent_here", "all")]
)
def test_ten_thousand_children_are_awaited_over_one_connection_and_told_of_in_batches(
    fleet: FleetProcesses, task: str, how: str
):
    app = fleet.write(replicas=1, concurrency=1, tasks=TASKS)
    fleet.serve()
    fleet.ready()
    before = fleet.raw.info("clients")["connected_clients"]
    parent = getattr(app, task).enqueue(CHILDREN, how)
    # Nobody serves the children's environment yet.
    fleet.until(lambda: noted(fleet) == CHILDREN, "a parent that waits for all", within=60)
    # One that asks and one that listens.
    assert fleet.raw.info("clients")["connected_clients"] <= before + 2
    fleet.raw.config_resetstat()
    fleet.agent("b", "whole_app:other")
    assert fleet.finished([parent], 60) == [sum(range(CHILDREN))]
    stats = fleet.raw.info("commandstats")
    # What one child costs by itself, its claim and its end, is most of it.
    assert sum(each["calls"] for each in stats.values()) < 20 * CHILDREN
    assert stats["cmdstat_evalsha"]["calls"] + stats["cmdstat_blmpop"]["calls"] < CHILDREN / 5


def noted(fleet: FleetProcesses) -> int:
    """Return how many jobs that nobody has claimed know whom to tell of their ends."""
    raw: Any = fleet.raw
    waiting = [*raw.lrange("rq:queue:other", 0, -1), *raw.lrange("reuse:{other}:urgent", 0, -1)]
    with raw.pipeline() as pipe:
        for job_id in waiting:
            pipe.hexists(f"rq:job:{job_id.decode()}", "reuse_awaited")
        return sum(pipe.execute())
