"""The replicas of a `SlotWorld`: real slots, claimers and recorders, without Redis."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

from reuse_queue import ReusePolicy, TaskEnvironment
from reuse_queue.board import SPARE, Board
from reuse_queue.job import Claim, ClaimedJob, Outcome, Recorded, Verdict
from reuse_queue.settings import Settings
from reuse_worker.call import Call
from reuse_worker.claimer import Claimer
from reuse_worker.execute import Executor
from reuse_worker.life import Life
from reuse_worker.recorder import Recorder
from reuse_worker.slots import Slots
from reuse_worker.tenure import Tenure
from support.slot_world import Known, SlotWorld

SETTINGS = Settings(host="testhost", kill_grace=timedelta(seconds=5))


class Steps:
    """What a replica asks Redis for."""

    settings = SETTINGS

    def __init__(self, world: SlotWorld, replica: Replica) -> None:
        self._world = world
        self._replica = replica
        self._claims = 0

    async def wait(self, at_most: timedelta, count: int) -> Claim:
        ends = time.monotonic() + at_most.total_seconds()
        while not self._world.backlog and time.monotonic() < ends:  # noqa: ASYNC110  # by threads
            await asyncio.sleep(0.0005)
        return await self._claim(count, urgent_only=False)

    async def claim(self, count: int, *, urgent_only: bool = False) -> Claim:
        slots = self._replica.slots
        assert urgent_only or not slots.crowded or (count == 1 and not slots.busy)
        return await self._claim(count, urgent_only=urgent_only)

    async def _claim(self, count: int, *, urgent_only: bool) -> Claim:
        await self._world.turns()
        world = self._world
        with world.lock:
            claimed: list[ClaimedJob] = []
            for each in (world.urgent,) if urgent_only else (world.urgent, world.queue):
                while each and len(claimed) < count:
                    claimed.append(self._started(each.popleft()))
            idle = sum(not each.slots.held() for each in world.replicas)
            seen = Claim(
                jobs=tuple(claimed),
                backlog=world.backlog,
                replicas=len(world.replicas),
                idle=idle,
            )
        await world.turns()
        return seen

    def _started(self, job_id: str) -> ClaimedJob:
        self._claims += 1
        known = self._world.jobs[job_id]
        known.replica, known.execution = self._replica, f"{self._replica.name}-{self._claims}"
        self._world.runs[job_id] += 1
        return ClaimedJob(
            id=job_id,
            execution=known.execution,
            data=b"",
            timeout=None,
            result_ttl=None,
            callbacks={} if self._world.callbacks else None,
        )

    async def release(self, known: Sequence[str]) -> int:
        with self._world.lock:
            gone = [
                job_id
                for job_id, each in self._world.jobs.items()
                if each.replica is self._replica
                and not each.ended.done()
                and each.execution not in known
            ]
            for job_id in gone:
                self._world.runs[job_id] -= 1
                self._world.jobs[job_id].replica = None
            self._world.queue.extendleft(reversed(gone))
        return len(gone)

    async def finish(self, outcomes: Sequence[Outcome]) -> list[Recorded]:
        outcomes = list(outcomes)
        await self._world.turns()
        for outcome in outcomes:
            self._world.jobs[outcome.job_id].ended.set_result(outcome)
        return [Recorded.FINISHED] * len(outcomes)


class _Loads(Executor):
    world: SlotWorld

    def load(self, job: ClaimedJob) -> Call:
        node = self.world.jobs[job.id].node
        is_async = node.task == "coroutine"
        function = self.world.coroutine if is_async else self.world.function
        return Call(job, cast("Callable[..., Any]", function), is_async, (node,), {}, node.task)

    def _finished(self, call: Call, value: object, began: float) -> Outcome:
        return Outcome(
            job_id=call.job.id,
            execution=call.job.execution,
            verdict=Verdict.FINISHED,
            value=str(value).encode(),
            took=timedelta(seconds=time.perf_counter() - began),
        )


class _Ends:
    """Callbacks that take their time."""

    def __init__(self, world: SlotWorld) -> None:
        self._world = world

    async def after(self, _call: Call, outcome: Outcome, _thread: object) -> Outcome:
        await self._world.turns()
        return outcome

    def after_here(self, _call: Call, outcome: Outcome, _thread: object) -> Outcome:
        time.sleep(0.0005)
        return outcome


class _Calm:
    async def sure(self) -> None: ...
    async def renewed(self) -> None: ...


class _InOrder(deque[Call]):
    """What waits for its start, which nothing has before what wants to go on."""

    slots: Slots

    def popleft(self) -> Call:
        assert not self.slots._away.returning
        return super().popleft()


class Replica:
    """Slots with their claimer, and what must be true of them at every moment."""

    def __init__(self, world: SlotWorld, name: str, concurrency: int, *, yields: bool) -> None:
        self.name = name
        self.now = self.most = 0
        self._counted: set[int] = set()
        env = TaskEnvironment(
            "world",
            reusable=ReusePolicy(replicas=(0, 3), concurrency=concurrency),
            yield_slots=yields,
        )
        self.board = Board.create(concurrency + SPARE)
        self.life = Life()
        self.broken: list[BaseException] = []
        executor = _Loads(env, name, SETTINGS, enter=lambda _: None)
        executor.world = world
        steps: Any = Steps(world, self)
        self.recorder = Recorder(steps, felled=lambda: None)
        self.slots = Slots(
            executor,
            cast("Any", _Ends(world)),
            cast("Any", None),
            self.board,
            contextvars.copy_context(),
            Tenure(SETTINGS.lease),
            record=self.recorder.add,
            changed=self.life.notify,
            broke=self.broken.append,
        )
        self.slots._calls.ahead = _InOrder()
        self.slots._calls.ahead.slots = self.slots
        heartbeat: Any = _Calm()
        self.claimer = Claimer(steps, self.life, heartbeat, self.slots, self.recorder)

    def works(self, job: Known, more: int) -> None:
        """Count one more, or one fewer, that works in a slot; those that were excused don't."""
        if more > 0 and not job.excused:
            self._counted.add(id(job))
        elif more < 0 or job.excused:
            self._counted.discard(id(job))
        self.now = len(self._counted)
        self.most = max(self.most, self.now)

    async def holds(self) -> None:
        """Check, at every turn of the loop, that nothing waits while a slot is free."""
        while True:
            calls = self.slots._calls
            assert calls.free <= 0 or not (self.slots._away.returning or calls.ahead)
            assert not (self.slots._away.returning and self._unbegun())
            assert not self.broken
            await asyncio.sleep(0)

    def _unbegun(self) -> bool:
        return any(isinstance(each, Call) for each in list(self.slots.thread._todo))


@asynccontextmanager
async def serving(
    world: SlotWorld, replicas: int, concurrency: int, *, yields: bool = True
) -> AsyncIterator[None]:
    """Run replicas while the block lasts, and check all along what must be true of them."""
    world.replicas = [
        Replica(world, f"r{at}", concurrency, yields=yields) for at in range(replicas)
    ]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(part)
            for each in world.replicas
            for part in (each.claimer.run(), each.recorder.run(), each.holds())
        ]
        yield
        for task in tasks:
            task.cancel()
    for each in world.replicas:
        each.slots.thread.close()
        each.board.close()
