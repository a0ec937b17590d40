"""100 jobs at once under uvloop, as in its own benchmark; results kept."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from streaq import Worker

from benchmarks.meter import burn, hit
from benchmarks.peers import URL, at_once

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
