"""100 tasks at once, uvloop, looking every 10 ms instead of every 250; results kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import uvloop
from docket import CurrentDocket, Docket, Worker

from benchmarks.meter import burn, hit
from benchmarks.peers import CHILDREN, URL, at_once


async def noop() -> None:
    hit()


async def sleep10() -> None:
    hit()
    await asyncio.sleep(0.01)


async def cpu1() -> None:
    hit()
    burn()


async def fan(docket: Docket = CurrentDocket()) -> None:  # noqa: B008  # docket's way
    children = await docket.add_many([docket.call(noop)() for _ in range(CHILDREN)])
    for child in children:
        await child.get_result()
    hit(0)


def _docket() -> Docket:
    return Docket(name="bench", url=URL)


@asynccontextmanager
async def asender(kind: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    async with _docket() as docket:
        yield lambda: docket.add(globals()[kind])()  # noqa: PLW0108  # a key per job


@asynccontextmanager
async def abulk(kind: str) -> AsyncIterator[Callable[[int], Awaitable[object]]]:
    async with _docket() as docket:

        async def send(count: int) -> None:
            for start in range(0, count, 1000):
                some = min(1000, count - start)
                await docket.add_many([docket.call(globals()[kind])() for _ in range(some)])

        yield send


def work() -> None:
    async def main() -> None:
        async with _docket() as docket:
            for task in (noop, sleep10, cpu1, fan):
                docket.register(task)
            async with Worker(
                docket,
                concurrency=at_once(100),
                minimum_check_interval=timedelta(milliseconds=10),
            ) as worker:
                await worker.run_forever()

    uvloop.run(main())
