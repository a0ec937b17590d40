"""reuse_queue: one replica per worker started here, every feature at its default."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import Callable

from benchmarks.meter import burn, hit
from reuse_queue import ReusePolicy, TaskEnvironment

CONCURRENCY = 100
_URL = os.environ.get("BENCH_REDIS", "redis://localhost")
env = TaskEnvironment("bench", reusable=ReusePolicy(replicas=(1, 2), concurrency=100))
single = TaskEnvironment("bench-sync", reusable=ReusePolicy(replicas=(1, 2), concurrency=1))
for each in (env, single):
    each.bind(_URL)


@env.task
async def noop() -> None:
    hit()


@env.task
async def sleep10() -> None:
    hit()
    await asyncio.sleep(0.01)


@single.task
def cpu1() -> None:
    hit()
    burn()


@single.task
def noop_sync() -> None:
    hit()


def sender(kind: str) -> Callable[[], object]:
    return globals()[kind].enqueue  # type: ignore[no-any-return]


def bulk(kind: str, count: int) -> None:
    globals()[kind].enqueue_many(() for _ in range(count))


def work() -> None:
    """Run a scaler (all but the first stand by) and an agent that has room for one replica."""
    kind = os.environ["BENCH_KIND"]
    target = f"{__name__}:{'single' if kind in {'cpu1', 'noop_sync'} else 'env'}"
    environ = {**os.environ, "REUSE_QUEUE_LOG_LEVEL": "warning", "REUSE_QUEUE_REDIS_URL": _URL}
    subprocess.Popen([sys.executable, "-m", "reuse_queue", "scaler"], env=environ)
    os.execve(  # the agent takes this process over
        sys.executable,
        [
            *(sys.executable, "-m", "reuse_agent", target, "--redis-url", _URL),
            *("--host", f"bench-{uuid.uuid4().hex[:6]}", "--max-replicas", "1"),
        ],
        environ,
    )
