"""100 jobs at once, uvloop; results kept. It has no bulk call: 100 single ones at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from saq import Queue, Worker

from benchmarks.meter import burn, hit
from benchmarks.peers import CHILDREN, URL, at_once


async def noop(_ctx: object) -> None:
    hit()


async def sleep10(_ctx: object) -> None:
    hit()
    await asyncio.sleep(0.01)


async def cpu1(_ctx: object) -> None:
    hit()
    burn()


async def fan(ctx: dict[str, Any]) -> None:
    await ctx["worker"].queue.map("noop", [{} for _ in range(CHILDREN)], poll_interval=0.05)
    hit(0)


@asynccontextmanager
async def asender(kind: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    queue = Queue.from_url(URL)
    await queue.connect()
    yield lambda: queue.enqueue(kind, timeout=600)
    await queue.disconnect()


def work() -> None:
    async def main() -> None:
        queue = Queue.from_url(URL)
        await Worker(queue, functions=[noop, sleep10, cpu1, fan], concurrency=at_once(100)).start()

    uvloop.run(main())
