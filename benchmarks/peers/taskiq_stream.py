"""taskiq: redis streams (its reliable broker), 100 tasks at once, results kept."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.meter import burn, hit

CONCURRENCY = 100
_URL = os.environ.get("BENCH_REDIS", "redis://localhost")
broker = RedisStreamBroker(_URL, consumer_id="0").with_result_backend(
    RedisAsyncResultBackend(_URL, result_ex_time=500)
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


@asynccontextmanager
async def asender(kind: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    await broker.startup()
    yield globals()[kind].kiq
    await broker.shutdown()


def work() -> None:
    concurrency = "1" if os.environ["BENCH_KIND"] == "cpu1" else "100"
    os.execv(  # its worker is a program
        sys.executable,
        [
            *(sys.executable, "-m", "taskiq", "worker", f"{__name__}:broker"),
            *("-w", "1", "--max-async-tasks", concurrency, "--log-level", "WARNING"),
        ],
    )
