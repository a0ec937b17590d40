"""arq: 100 jobs at once, polling every 10 ms instead of its 500 ms; results kept."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import arq
from arq.connections import RedisSettings

from benchmarks.meter import burn, hit

CONCURRENCY = 100
SETTINGS = RedisSettings.from_dsn(os.environ.get("BENCH_REDIS", "redis://localhost"))


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
    pool = await arq.create_pool(SETTINGS)
    yield lambda: pool.enqueue_job(kind)
    await pool.aclose()


def work() -> None:
    concurrency = 1 if os.environ["BENCH_KIND"] == "cpu1" else 100
    asyncio.set_event_loop(asyncio.new_event_loop())
    arq.Worker(
        functions=[noop, sleep10, cpu1],
        redis_settings=SETTINGS,
        max_jobs=concurrency,
        poll_delay=0.01,
    ).run()
