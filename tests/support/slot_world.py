"""Jobs that call each other in one process, with a queue in memory in place of Redis.

Everything that takes time in a real fleet takes a few turns of the loop here, as many as a seed
says: the same seed is the same history, as far as only coroutines are in it.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from reuse_queue.context import agiving_way, current_job, giving_way
from reuse_queue.job import Outcome, Verdict
from support.call_graphs import FAILED, Node

HOWS = ("each", "gather", "give up", "leave behind")


class Replica(Protocol):
    """Who runs a job."""

    def works(self, job: Known, more: int) -> None:
        """Count a job that begins to work, or goes on (1), or that waits or has ended (-1)."""


@dataclass
class Known:
    """What the world knows of one job."""

    node: Node
    ended: Future[Outcome] = field(default_factory=Future)
    replica: Replica | None = None
    execution: str = ""
    waits: int = 0
    excused: bool = False
    """It has gone on at once, without a slot that was free: its wait was canceled."""


class SlotWorld:
    """The jobs, what became of them, and who works."""

    def __init__(self, seed: int, *, callbacks: bool = False) -> None:
        self.random = Random(seed)
        self.lock = threading.RLock()
        self.jobs: dict[str, Known] = {}
        self.queue: deque[str] = deque()
        self.urgent: deque[str] = deque()
        self.runs: Counter[str] = Counter()
        self.replicas: list[Any] = []
        self.callbacks = callbacks

    # -- the application ----------------------------------------------------------------------

    def enqueue(self, *nodes: Node, child: bool = False) -> list[str]:
        """Enqueue calls, in front of all others where a job does so."""
        with self.lock:
            ids = [f"j{len(self.jobs) + at}" for at in range(len(nodes))]
            self.jobs.update((i, Known(node)) for i, node in zip(ids, nodes, strict=True))
            if child:
                self.urgent.extendleft(reversed(ids))
            else:
                self.queue.extend(ids)
        return ids

    @property
    def backlog(self) -> int:
        """How many jobs nobody has claimed."""
        return len(self.urgent) + len(self.queue)

    async def ended(self, job_id: str) -> Outcome:
        """Return how a job has ended, once it has."""
        return await asyncio.shield(asyncio.wrap_future(self.jobs[job_id].ended))

    async def all_ended(self) -> None:
        """Return once all jobs have ended, those that they enqueue meanwhile too."""
        at = 0
        while at < len(self.jobs):
            await self.ended(f"j{at}")
            at += 1

    async def turns(self) -> None:
        """Let so much happen meanwhile as the seed says."""
        for _ in range(self.random.choice((0, 1, 1, 2, 5, 20))):
            await asyncio.sleep(0)

    # -- the tasks ----------------------------------------------------------------------------

    async def coroutine(self, node: Node) -> int:
        """Do what a node says, on the loop."""
        with self._working():
            await self.turns()
            ids = self.enqueue(*node.children, child=True)
            self.enqueue(*node.left, child=True)
            if node.how == "each":
                value = 1 + sum([await self._value(each) for each in ids])
            elif node.how == "gather":
                value = 1 + sum(await asyncio.gather(*map(self._value, ids)))
            else:
                value = 1 + sum(await asyncio.gather(*(self._impatiently(i, node) for i in ids)))
            await self.turns()
        if node.fails:
            raise ValueError(node.task)
        return value

    def function(self, node: Node) -> int:
        """Do the same on a thread."""
        with self._working():
            ids = self.enqueue(*node.children, child=True)
            self.enqueue(*node.left, child=True)
            if node.how == "leave behind":
                self._mine().excused = True
                for each in ids:
                    context = contextvars.copy_context()
                    threading.Thread(target=context.run, args=(self._late_here, each)).start()
                value = 1
            else:
                value = 1 + sum(self._value_here(each) for each in ids)
        if node.fails:
            raise ValueError(node.task)
        return value

    async def _value(self, job_id: str) -> int:
        with self._waiting():
            async with agiving_way():
                outcome = await self.ended(job_id)
                await self.turns()
        return _worth(outcome)

    def _value_here(self, job_id: str) -> int:
        with self._waiting(), giving_way():
            outcome = self.jobs[job_id].ended.result()
        return _worth(outcome)

    async def _impatiently(self, job_id: str, node: Node) -> int:
        self._mine().excused = True
        if node.how == "leave behind":
            # It waits by itself, perhaps only when its job has ended.
            late = asyncio.ensure_future(self._late(job_id))
            late.add_done_callback(lambda done: done.cancelled() or done.exception())
            return 1
        waits = asyncio.ensure_future(self._value(job_id))
        await self.turns()
        waits.cancel()
        await asyncio.wait([waits])
        return await self._value(job_id)

    async def _late(self, job_id: str) -> None:
        await self.turns()
        await self._value(job_id)

    def _late_here(self, job_id: str) -> None:
        time.sleep(self.random.choice((0, 0.0002)))
        self._value_here(job_id)

    def _mine(self) -> Known:
        job = current_job()
        assert job is not None
        return self.jobs[job.id]

    @contextmanager
    def _working(self) -> Iterator[None]:
        mine = self._mine()
        assert mine.replica is not None
        with self.lock:
            mine.replica.works(mine, 1)
        try:
            yield
        finally:
            with self.lock:
                mine.replica.works(mine, -1)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        mine = self._mine()
        assert mine.replica is not None
        with self.lock:
            mine.waits += 1
            if mine.waits == 1:
                mine.replica.works(mine, -1)
        try:
            yield
        finally:
            with self.lock:
                mine.waits -= 1
                if not mine.waits:
                    mine.replica.works(mine, 1)


def _worth(outcome: Outcome) -> int:
    return int(outcome.value or b"0") if outcome.verdict is Verdict.FINISHED else FAILED
