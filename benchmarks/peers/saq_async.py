"""saq: 100 jobs at once, results kept; the wait of its bulk is gathered single calls."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from saq import Queue, Worker

from benchmarks.meter import burn, hit

CONCURRENCY = 100


async def noop(_ctx: object) -> None:
    hit()


async def sleep10(_ctx: object) -> None:
    hit()
    await asyncio.sleep(0.01)


async def cpu1(_ctx: object) -> None:
    hit()
    burn()


@asynccontextmanager
async def asender(kind: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    queue = Queue.from_url(os.environ["BENCH_REDIS"])
    await queue.connect()
    yield lambda: queue.enqueue(kind)
    await queue.disconnect()


def work() -> None:
    concurrency = 1 if os.environ["BENCH_KIND"] == "cpu1" else 100

    async def main() -> None:
        queue = Queue.from_url(os.environ["BENCH_REDIS"])
        await Worker(queue, functions=[noop, sleep10, cpu1], concurrency=concurrency).start()

    asyncio.run(main())
