"""Every feature at its default: leases, heartbeats, results, timeouts, scaler and agent.

No-ops and waits are coroutine tasks at concurrency 100; CPU work and the sync no-op are plain
functions at concurrency 1.
"""

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable

from benchmarks.claiming import one_by_one
from benchmarks.meter import burn, hit
from benchmarks.peers import CHILDREN, URL, kind
from reuse_queue import ReusePolicy, TaskEnvironment, agather

_MOST = int(os.environ.get("BENCH_MOST", "2"))
_LEAST = int(os.environ.get("BENCH_LEAST", _MOST))
_SINGLE = frozenset({"cpu1", "sync", "spell", "alone"})
if os.environ.get("BENCH_CLAIM") == "one":
    one_by_one()

env = TaskEnvironment("bench", reusable=ReusePolicy(replicas=(_LEAST, _MOST), concurrency=100))
single = TaskEnvironment("bench-sync", reusable=ReusePolicy(replicas=(_LEAST, _MOST)))
for each in (env, single):
    each.bind(URL)


@env.task
async def noop() -> None:
    hit()


@env.task
async def sleep10() -> None:
    hit()
    await asyncio.sleep(0.01)


@env.task
async def fan() -> None:
    await agather(*await noop.aenqueue_many(() for _ in range(CHILDREN)))
    hit(0)


@single.task
async def alone() -> None:
    await agather(*await sync.aenqueue_many(() for _ in range(CHILDREN)))
    hit(0)


@single.task
def cpu1() -> None:
    hit()
    burn()


@single.task
def sync() -> None:
    hit()


@single.task
def spell(index: int, seconds: float) -> None:
    hit(index)
    time.sleep(seconds)


def sender(kind: str) -> Callable[[], object]:
    return globals()[kind].enqueue  # type: ignore[no-any-return]


def bulk(kind: str) -> Callable[[int], object]:
    task = globals()[kind]
    return lambda count: task.enqueue_many(() for _ in range(count))


def work() -> None:
    """Run a scaler and an agent; the agent takes this process over."""
    target = f"{__name__}:{'single' if kind() in _SINGLE else 'env'}"
    environ = {**os.environ, "REUSE_QUEUE_REDIS_URL": URL}
    subprocess.Popen([sys.executable, "-m", "reuse_queue", "scaler"], env=environ)
    os.execve(
        sys.executable,
        [
            *(sys.executable, "-m", "reuse_agent", target, "--redis-url", URL),
            *("--host", f"bench-{uuid.uuid4().hex[:6]}", "--max-replicas", "8"),
        ],
        environ,
    )
