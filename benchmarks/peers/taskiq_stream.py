"""Redis streams (its reliable broker), 100 tasks at once, uvloop; results kept.

It has no bulk call: 100 single ones at once.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.meter import burn, hit
from benchmarks.peers import CHILDREN, URL, at_once

broker = RedisStreamBroker(URL, consumer_id="0").with_result_backend(
    RedisAsyncResultBackend(URL, result_ex_time=500)
)


@broker.task(task_name="noop")
async def noop() -> None:
    hit()


@broker.task(task_name="sleep10")
async def sleep10() -> None:
    hit()
    await asyncio.sleep(0.01)


@broker.task(task_name="cpu1")
async def cpu1() -> None:
    hit()
    burn()


@broker.task(task_name="fan")
async def fan() -> None:
    children = []
    for start in range(0, CHILDREN, 100):
        some = range(min(100, CHILDREN - start))
        children += await asyncio.gather(*(noop.kiq() for _ in some))
    for child in children:
        await child.wait_result(check_interval=0.01)
    hit(0)


@asynccontextmanager
async def asender(kind: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    await broker.startup()
    yield globals()[kind].kiq
    await broker.shutdown()


def work() -> None:
    os.execv(  # its worker is a program
        sys.executable,
        [
            *(sys.executable, "-m", "taskiq", "worker", f"{__name__}:broker"),
            *("-w", "1", "--max-async-tasks", str(at_once(100)), "--log-level", "WARNING"),
        ],
    )
