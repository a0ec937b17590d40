"""100 jobs at once under uvloop, as in its own benchmark; results kept."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from streaq import Worker

from benchmarks.meter import burn, hit
from benchmarks.peers import CHILDREN, URL, at_once

worker = Worker(redis_url=URL, concurrency=at_once(100), anyio_kwargs={"use_uvloop": True})


@worker.task()
async def noop() -> None:
    hit()


@worker.task()
async def sleep10() -> None:
    hit()
    await anyio.sleep(0.01)


@worker.task()
async def cpu1() -> None:
    hit()
    burn()


@worker.task()
async def fan() -> None:
    children = [noop.enqueue() for _ in range(CHILDREN)]
    for start in range(0, CHILDREN, 1000):
        await worker.enqueue_many(children[start : start + 1000])
    await _results(children)
    hit(0)


async def _results(tasks: list[Any]) -> None:
    # Each waits over a connection of its own: more at once leave the worker none.
    at_most = anyio.CapacityLimiter(50)

    async def result(task: Any) -> None:
        async with at_most:
            await task.result()

    async with anyio.create_task_group() as waits:
        for each in tasks:
            waits.start_soon(result, each)


@asynccontextmanager
async def asender(kind: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    task = globals()[kind]

    async def send() -> None:
        await task.enqueue()

    async with worker:
        yield send


@asynccontextmanager
async def abulk(kind: str) -> AsyncIterator[Callable[[int], Awaitable[object]]]:
    task = globals()[kind]

    async def send(count: int) -> None:
        for start in range(0, count, 1000):
            some = min(1000, count - start)
            await worker.enqueue_many([task.enqueue() for _ in range(some)])

    async with worker:
        yield send


def work() -> None:
    worker.run_sync()
