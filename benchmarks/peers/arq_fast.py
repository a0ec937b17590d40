"""100 jobs at once, uvloop, polling every 10 ms instead of every 500; results kept.

It has no bulk call: 100 single ones at once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import arq
import uvloop
from arq.connections import RedisSettings

from benchmarks.meter import burn, hit
from benchmarks.peers import CHILDREN, URL, at_once

SETTINGS = RedisSettings.from_dsn(URL)


async def noop(_ctx: object) -> None:
    hit()


async def sleep10(_ctx: object) -> None:
    hit()
    await asyncio.sleep(0.01)


async def cpu1(_ctx: object) -> None:
    hit()
    burn()


async def fan(ctx: dict[str, Any]) -> None:
    jobs: list[Any] = []
    for start in range(0, CHILDREN, 100):
        some = range(min(100, CHILDREN - start))
        jobs += await asyncio.gather(*(ctx["redis"].enqueue_job("noop") for _ in some))
    for job in jobs:
        await job.result(poll_delay=0.01)
    hit(0)


@asynccontextmanager
async def asender(kind: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    pool = await arq.create_pool(SETTINGS)
    yield lambda: pool.enqueue_job(kind)
    await pool.aclose()


def work() -> None:
    asyncio.set_event_loop(uvloop.new_event_loop())
    arq.Worker(
        functions=[noop, sleep10, cpu1, fan],
        redis_settings=SETTINGS,
        max_jobs=at_once(100),
        poll_delay=0.01,
    ).run()
