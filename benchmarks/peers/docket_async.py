"""docket: 100 tasks at once, looking every 10 ms instead of its 250 ms; results kept."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from docket import Docket, Worker

from benchmarks.meter import burn, hit

CONCURRENCY = 100


async def noop() -> None:
    hit()


async def sleep10() -> None:
    hit()
    await asyncio.sleep(0.01)


async def cpu1() -> None:
    hit()
    burn()


def _docket() -> Docket:
    return Docket(name="bench", url=os.environ["BENCH_REDIS"])


@asynccontextmanager
async def asender(kind: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    async with _docket() as docket:
        yield lambda: docket.add(globals()[kind])()  # noqa: PLW0108  # a key per job


async def abulk(kind: str, count: int) -> None:
    async with _docket() as docket:
        for start in range(0, count, 1000):
            await docket.add_many(
                [docket.call(globals()[kind])() for _ in range(min(1000, count - start))]
            )


def work() -> None:
    concurrency = 1 if os.environ["BENCH_KIND"] == "cpu1" else 100

    async def main() -> None:
        async with _docket() as docket:
            for task in (noop, sleep10, cpu1):
                docket.register(task)
            async with Worker(
                docket,
                concurrency=concurrency,
                minimum_check_interval=timedelta(milliseconds=10),
            ) as worker:
                await worker.run_forever()

    asyncio.run(main())
