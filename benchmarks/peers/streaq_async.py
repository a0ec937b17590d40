"""streaq: 100 jobs at once under uvloop, as in its own benchmark; results kept."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from streaq import Worker

from benchmarks.meter import burn, hit

CONCURRENCY = 100
worker = Worker(
    redis_url=os.environ.get("BENCH_REDIS", "redis://localhost"),
    concurrency=1 if os.environ.get("BENCH_KIND") == "cpu1" else 100,
    anyio_kwargs={"use_uvloop": True},
)


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


async def abulk(kind: str, count: int) -> None:
    task = globals()[kind]
    async with worker:
        for start in range(0, count, 1000):
            await worker.enqueue_many([task.enqueue() for _ in range(min(1000, count - start))])


def work() -> None:
    worker.run_sync()
