"""The slots of replicas under random trees of jobs, in one process and without Redis."""

import asyncio
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reuse_worker import batch, claimer
from reuse_worker.call import Call
from reuse_worker.places import CoroutinePlace
from support.call_graphs import Node, call_graphs
from support.slot_replica import serving
from support.slot_world import HOWS, SlotWorld

PROFILE = hypothesis_settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
seeds = st.integers(0, 2**32)
pytestmark = pytest.mark.timeout(120)  # a few seconds, but a failure is made small first


@pytest.fixture(autouse=True)
def a_crowd_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LEAST_CROWD", 3)
    monkeypatch.setattr(batch, "CROWD", 1)
    monkeypatch.setattr(claimer, "_STUCK_S", 0)  # so that a claim is checked which is not to be


async def finish(world: SlotWorld, roots: list[Node], replicas: int, concurrency: int) -> None:
    """Run graphs to their ends; everything that must be true in between and afterwards is."""
    async with asyncio.timeout(5), serving(world, replicas, concurrency):
        ids = world.enqueue(*roots)
        await asyncio.gather(*map(world.ended, ids))
        await world.all_ended()
        for each in world.replicas:
            assert each.most <= concurrency
            assert (each.slots.held(), each.slots.away, each.now) == ([], 0, 0)
            assert each.board.read() == []
    assert set(world.runs.values()) == {1}
    assert len(world.runs) == sum(len(list(root.all())) for root in roots)
    for job_id, root in zip(ids, roots, strict=True):
        if not any(node.how == "leave behind" for node in root.all()):
            assert world.jobs[job_id].ended.result().value == str(root.value).encode()


@PROFILE
@given(
    roots=st.lists(call_graphs(["coroutine"], HOWS), min_size=1, max_size=8),
    replicas=st.integers(1, 3),
    concurrency=st.integers(1, 7),
    seed=seeds,
    callbacks=st.booleans(),
)
def test_coroutines_that_call_each_other_all_end_and_never_more_work_than_there_are_slots(
    roots: list[Node], replicas: int, concurrency: int, seed: int, callbacks: bool
):
    asyncio.run(finish(SlotWorld(seed, callbacks=callbacks), roots, replicas, concurrency))


@PROFILE
@given(
    roots=st.lists(call_graphs(["coroutine", "function"], HOWS), min_size=1, max_size=8),
    replicas=st.integers(1, 3),
    seed=seeds,
    callbacks=st.booleans(),
)
def test_plain_functions_and_coroutines_that_call_each_other_share_a_slot(
    roots: list[Node], replicas: int, seed: int, callbacks: bool
):
    asyncio.run(finish(SlotWorld(seed, callbacks=callbacks), roots, replicas, 1))


class Full:
    """Slots none of which is free; a call that leaves goes on without one, as `Away` has it."""

    def __init__(self) -> None:
        self.returning: list[Callable[[], None]] = []
        self.crammed = 0

    def leave(self, call: Call) -> None:
        while self.returning:
            self.returning.pop()()

    def come_back(self, call: Call, go_on: Callable[[], None]) -> None:
        self.returning.append(go_on)

    def come_back_at_once(self, call: Call) -> None:
        self.crammed += 1


async def test_a_wait_that_is_canceled_as_another_one_begins_does_not_take_a_slot():
    slots, call = Full(), cast("Call", None)
    place = CoroutinePlace(call, slots)
    place.leave()
    first = asyncio.ensure_future(place.aenter(at_once=False))
    await asyncio.sleep(0)
    place.leave()
    first.cancel()
    await asyncio.wait([first])
    assert (first.cancelled(), slots.crammed) == (True, 0)
