"""Tasks that call tasks: who waits lets others have its slot, and goes on when it has one."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import redis
import rq

from integration.worker.conftest import KEYS, Lab, name_of
from reuse_queue import ResultTimeout, TaskEnvironment, TaskFailed, agather, context, gather
from reuse_queue.errors import JobCanceled
from reuse_queue.facts import ReplicaState
from reuse_worker import batch, claimer
from reuse_worker.exit_code import ExitCode
from support.eventually import eventually

DEPTH = 50
seen: list[object] = []
tiring: list[asyncio.Task[None]] = []
gate = threading.Event()


@dataclass
class Working:
    """How many tasks are not waiting for another, now and at most."""

    now: int = 0
    most: int = 0

    async def a_little(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.001)
        self.now -= 1


working = Working()
ELSEWHERE = TaskEnvironment("elsewhere")
PARENT = context.RunningJob(id="parent", execution="e", environment="lab", replica="r1")
served: list[TaskEnvironment] = []
raws: list[redis.Redis] = []


@pytest.fixture(autouse=True)
def clean():
    seen.clear()
    tiring.clear()
    gate.clear()
    working.most = 0


def lab_queue(name: str) -> rq.Queue:
    return rq.Queue(name, connection=raws[-1], serializer="json")


def task(function: Callable[..., Any]) -> Any:
    """Return the task that a function is in the environment that the test serves."""
    return served[-1].lookup(name_of(function))


@ELSEWHERE.task
async def nobody_runs_this() -> None: ...


async def descends(depth: int) -> Any:
    if depth == 0:
        return 0
    handle = await task(descends).aenqueue(depth - 1)
    return 1 + await handle


def descends_here(depth: int) -> Any:
    if depth == 0:
        return 0
    return 1 + task(descends_here).enqueue(depth - 1).result()


async def grows(depth: int, width: int) -> Any:
    if depth == 0:
        return 1
    handles = await task(grows).aenqueue_many([(depth - 1, width)] * width)
    return 1 + sum(await asyncio.gather(*handles))


def grows_here(depth: int, width: int) -> Any:
    if depth == 0:
        return 1
    handles = task(grows_here).enqueue_many([(depth - 1, width)] * width)
    return 1 + sum(handle.result() for handle in handles)


async def works_before_and_after_its_child() -> None:
    await working.a_little()
    await (await task(works).aenqueue())
    await working.a_little()


async def works() -> None:
    await working.a_little()


async def calls_the_sync_one() -> Any:
    return await (await task(calls_the_async_one).aenqueue())


def calls_the_async_one() -> Any:
    return task(says_hello).enqueue().result()


async def says_hello() -> str:
    return "hello"


async def waits_for_the_gate_keeper() -> Any:
    try:
        return await (await task(keeps_the_gate).aenqueue())
    finally:
        seen.append("cleaned up")


def waits_for_the_gate_keeper_here() -> Any:
    return task(keeps_the_gate).enqueue().result()


async def waits_for(job_id: str) -> Any:
    try:
        return await served[-1].handle(job_id)
    except JobCanceled:
        return "canceled"


async def waits_for_one_that_rq_enqueued() -> Any:
    job = lab_queue("lab").enqueue(name_of(says_hello))
    return await served[-1].handle(job.id)


async def maps_elsewhere() -> Any:
    return await nobody_runs_this.amap([nobody_runs_this.call()])


async def keeps_the_gate() -> str:
    seen.append("gate")
    await eventually(gate.is_set)
    return "open"


async def asks_in_a_thread() -> Any:
    return await asyncio.to_thread(task(says_hello).enqueue().result)


async def fails(_: int) -> None:
    raise ValueError("13 is unlucky")


def calls_one_that_fails(number: int) -> Any:
    return task(fails).enqueue_and_wait(number)


async def calls_two_that_fail() -> Any:
    return await agather(*await task(calls_one_that_fails).aenqueue_many([(1,), (2,)]))


async def sums(numbers: list[int]) -> Any:
    if len(numbers) == 1:
        return numbers[0]
    half = len(numbers) // 2
    handles = await task(sums).aenqueue_many([(numbers[:half],), (numbers[half:],)])
    return sum(await agather(*handles))


def sums_here(numbers: list[int]) -> Any:
    if len(numbers) == 1:
        return numbers[0]
    half = len(numbers) // 2
    return sum(gather(*task(sums_here).enqueue_many([(numbers[:half],), (numbers[half:],)])))


def doubles(numbers: list[int]) -> Any:
    return sorted(task(sums_here).map([[n, n] for n in numbers], as_completed=True))


async def tire(timer: asyncio.Timeout) -> None:
    """End what is timed as soon as the child has begun."""
    await eventually(lambda: "gate" in seen)
    timer.reschedule(asyncio.get_running_loop().time())


async def tires_of_one_call() -> Any:
    try:
        async with asyncio.timeout(None) as timer:
            tiring.append(asyncio.ensure_future(tire(timer)))
            await task(keeps_the_gate).aenqueue_and_wait()
    except TimeoutError:
        return await task(says_hello).aenqueue_and_wait()


async def tires_of_many() -> Any:
    handles = await task(keeps_the_gate).aenqueue_many([()] * 3)
    try:
        await agather(*handles, timeout=1)
    except ResultTimeout:
        return await task(says_hello).aenqueue_and_wait()


async def tires_of_a_handle() -> Any:
    handle = await task(keeps_the_gate).aenqueue()
    try:
        async with asyncio.timeout(None) as timer:
            tiring.append(asyncio.ensure_future(tire(timer)))
            await handle
    except TimeoutError:
        await handle.acancel()
        return await task(says_hello).aenqueue_and_wait()


@pytest.fixture
def serve(lab: Lab) -> Callable[..., None]:
    def serve(*functions: Callable[..., Any], concurrency: int = 1, yields: bool = True) -> None:
        lab.serve(*functions, concurrency=concurrency)
        lab.env.yield_slots = yields
        served[:] = [lab.env]
        raws[:] = [lab.raw]

    return serve


@pytest.mark.parametrize("descent", [descends, descends_here])
async def test_a_recursion_to_any_depth_finishes_in_one_slot(lab: Lab, serve, descent):
    serve(descent)
    async with lab.replica() as running:
        handle = await task(descent).aenqueue(DEPTH)
        assert await handle.aresult(60) == DEPTH
        assert running.daemon._slots.away == 0
        assert running.board.read() == []


@pytest.mark.parametrize(("tree", "concurrency"), [(grows, 1), (grows, 7), (grows_here, 1)])
async def test_a_tree_of_a_thousand_tasks_finishes(lab: Lab, serve, tree, concurrency: int):
    serve(tree, concurrency=concurrency)
    async with lab.replica():
        handle = await task(tree).aenqueue(9, 2)
        assert await handle.aresult(120) == 1023


async def test_never_more_jobs_work_than_there_are_slots(lab: Lab, serve):
    serve(works_before_and_after_its_child, works, concurrency=3)
    async with lab.replica():
        await asyncio.gather(*await task(works_before_and_after_its_child).aenqueue_many([()] * 40))
    assert working.most == 3


@pytest.mark.parametrize("caller", [calls_the_sync_one, asks_in_a_thread])
async def test_coroutines_and_plain_functions_share_one_slot(lab: Lab, serve, caller):
    serve(calls_the_sync_one, calls_the_async_one, says_hello, asks_in_a_thread)
    async with lab.replica():
        assert await (await task(caller).aenqueue()).aresult(30) == "hello"


async def test_a_drained_replica_waits_for_what_its_jobs_wait_for(lab: Lab, serve):
    serve(waits_for_the_gate_keeper, keeps_the_gate)
    async with lab.replica() as running:
        handle = await task(waits_for_the_gate_keeper).aenqueue()
        await eventually(lambda: seen == ["gate"])
        lab.tell(ReplicaState.DRAINING, drain_reason="scale-down")
        await eventually(lambda: running.daemon.life.draining)
        gate.set()
        assert await running.code() == ExitCode.ASKED
        served[0].bind(lab.settings)
        assert await handle.aresult(10) == "open"


async def test_a_parent_that_is_given_back_leaves_its_children_alone(lab: Lab, serve):
    """Those of its `map` are canceled when it ends early; its next execution wants them."""
    serve(maps_elsewhere)
    ELSEWHERE.bind(lab.settings)
    elsewhere = lab_queue("elsewhere")
    async with lab.replica() as running:
        parent = await task(maps_elsewhere).aenqueue()
        await eventually(lambda: running.daemon._slots.away == 1)
        [child] = elsewhere.get_job_ids()
        running.daemon.stop()
        running.daemon.stop()
        assert await running.code() == ExitCode.ASKED
    assert lab.queued() == [parent.id]
    assert elsewhere.get_job_ids() == [child]
    async with lab.replica("r2") as running:
        await eventually(lambda: running.daemon._slots.away == 1)
        assert elsewhere.get_job_ids() == [child]
        ELSEWHERE.handle(child).cancel()


@pytest.mark.parametrize("parent", [waits_for_the_gate_keeper])
async def test_a_canceled_parent_gives_way_while_it_waits(lab: Lab, serve, parent):
    serve(parent, keeps_the_gate)
    async with lab.replica() as running:
        handle = await task(parent).aenqueue()
        await eventually(lambda: seen == ["gate"])
        assert running.daemon._slots.away == 1
        await handle.acancel()
        with pytest.raises(JobCanceled):
            await handle.aresult(10)
        gate.set()
        await eventually(lambda: not running.daemon._slots.held())
        assert seen == ["gate", "cleaned up"]


async def test_a_replica_where_many_wait_takes_on_children_only(
    lab: Lab, serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batch, "LEAST_CROWD", 2)
    monkeypatch.setattr(batch, "CROWD", 1)
    monkeypatch.setattr(claimer, "_STUCK_S", 1000)
    serve(waits_for, says_hello)
    elsewhere = lab_queue("elsewhere").enqueue("nobody.runs.this")
    async with lab.replica() as running:
        slots = running.daemon._slots
        parents = await task(waits_for).aenqueue_many([(elsewhere.id,)] * 5)
        await eventually(lambda: slots.away == 2)
        with context.running(PARENT):
            child = await task(says_hello).aenqueue()
        assert await child == "hello"
        assert (slots.away, len(lab.queued())) == (2, 3)
        elsewhere.cancel()
        assert await asyncio.gather(*parents) == ["canceled"] * 5


async def test_a_crowded_replica_tries_what_is_new_before_it_waits_for_ever(
    lab: Lab, serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batch, "LEAST_CROWD", 1)
    monkeypatch.setattr(batch, "CROWD", 1)
    serve(waits_for_one_that_rq_enqueued, says_hello)
    async with lab.replica():
        parent = await task(waits_for_one_that_rq_enqueued).aenqueue()
        assert await parent.aresult(20) == "hello"


async def test_without_yielding_a_parent_keeps_its_slot(lab: Lab, serve):
    serve(waits_for_the_gate_keeper, keeps_the_gate, yields=False)
    async with lab.replica() as running:
        handle = await task(waits_for_the_gate_keeper).aenqueue()
        await eventually(lambda: lab.queued() != [])
        assert running.daemon._slots.busy == 1
        await handle.acancel()
        await eventually(lambda: seen == ["cleaned up"])
        assert lab.queued() == []


@pytest.mark.parametrize("add_up", [sums, sums_here])
async def test_what_is_gathered_in_one_slot_is_added_up(lab: Lab, serve, add_up):
    serve(add_up)
    async with lab.replica() as running:
        assert await task(add_up).aenqueue_and_wait(list(range(64))) == sum(range(64))
        assert running.daemon._slots.away == 0


async def test_a_plain_function_maps_in_one_slot(lab: Lab, serve):
    serve(doubles, sums_here)
    async with lab.replica():
        numbers = list(range(150))
        assert await task(doubles).aenqueue_and_wait(numbers) == [2 * n for n in numbers]


async def test_a_failure_shows_each_tasks_traceback_and_job_once(lab: Lab, serve):
    serve(fails, calls_one_that_fails, calls_two_that_fail)
    async with lab.replica():
        handle = await task(calls_two_that_fail).aenqueue()
        with pytest.raises(TaskFailed) as failure:
            await handle
    text = str(failure.value)
    lines = text.splitlines()
    assert lines[0] == f"job {handle.id} failed: ValueError: 13 is unlucky"
    for function in (calls_two_that_fail, calls_one_that_fails, fails):
        assert len([each for each in lines if each.endswith(f"in {function.__name__}")]) == 1
    assert text.count("Traceback (most recent call last)") == 3
    assert len([each for each in lines if "TaskFailed: job " in each]) == 2
    assert lines[-1] == "ValueError: 13 is unlucky"
    assert "/reuse_queue/" not in text


@pytest.mark.parametrize(
    ("parent", "children"), [(tires_of_one_call, 1), (tires_of_many, 3), (tires_of_a_handle, 1)]
)
async def test_a_parent_that_waits_no_longer_has_its_slot_again(
    lab: Lab, serve, parent, children: int
):
    serve(parent, keeps_the_gate, says_hello)
    async with lab.replica() as running:
        assert await (await task(parent).aenqueue()).aresult(20) == "hello"
        assert seen == ["gate"]
        await eventually(lambda: not running.daemon._slots.held())
        assert running.daemon._slots.free == 1
        assert lab.queued() == []
        # The one that ran, too: it did not end by itself first.
        assert lab.raw.zcard(KEYS.registry("canceled", "lab")) == children
