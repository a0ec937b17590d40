"""The application under chaos: every run of every task is in the ledger, from begin to end.

Two environments of coroutines, so that parents never take the slots of their children; one of
plain functions; and one for the jobs that kill their replicas, with others beside them.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaos.ledger import Ledger
from reuse_queue import ReusePolicy, TaskEnvironment, TaskFailed, current_job
from reuse_queue.settings import Settings

FOLDER = "CHAOS_FOLDER"
RESULTS_LAST_S = 86_400
PATIENCE_S = 120
LARGE = 200_000
FOREVER_S = 600.0

ledger = Ledger(Path(os.environ[FOLDER]) / "ledger")
main = TaskEnvironment("main", reusable=ReusePolicy(replicas=(1, 4), concurrency=8))
plain = TaskEnvironment("plain", reusable=ReusePolicy(replicas=(1, 3), concurrency=1))
nest = TaskEnvironment("nest", reusable=ReusePolicy(replicas=(0, 2), concurrency=8))
deadly = TaskEnvironment("deadly", reusable=ReusePolicy(replicas=(0, 2), concurrency=4))
ENVIRONMENTS = (main, plain, nest, deadly)
for each in ENVIRONMENTS:
    each.bind(Settings.from_env(), patience=PATIENCE_S)


@deadly.preload
def leave_no_core() -> None:
    """Segfaults are wanted here, their cores are not."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextmanager
def noted(kind: str) -> Iterator[str]:
    """Note one run; yield its execution's id, which is what every task returns."""
    job = current_job()
    assert job is not None
    ledger.began(job.id, job.execution, kind, job.replica)
    try:
        yield job.execution
    except asyncio.CancelledError:
        ledger.ended(job.execution, "canceled")
        raise
    except BaseException:
        ledger.ended(job.execution, "raised")
        raise
    ledger.ended(job.execution, "returned")


@main.task(result_ttl=RESULTS_LAST_S)
async def quick(kind: str) -> str:
    """End at once."""
    with noted(kind) as execution:
        return execution


@main.task(result_ttl=RESULTS_LAST_S)
async def slow(kind: str, seconds: float) -> str:
    """Take its time."""
    with noted(kind) as execution:
        await asyncio.sleep(seconds)
        return execution


@main.task(result_ttl=RESULTS_LAST_S)
async def large(text: str) -> str:
    """Bring much."""
    with noted("large") as execution:
        if len(text) != LARGE:
            raise ValueError(f"a payload of {len(text)} bytes")
        return execution


@main.task(result_ttl=RESULTS_LAST_S, retries=3, backoff=0.3)
async def flaky() -> str:
    """Raise twice."""
    with noted("flaky") as execution:
        job = current_job()
        assert job is not None
        if job.retries_left > 1:
            raise ValueError("not yet")
        return execution


@main.task(retries=1, backoff=None)
async def failing() -> str:
    """Raise always."""
    with noted("failing"):
        raise ValueError("never")


@main.task(timeout=1)
async def late() -> None:
    """Outlast its timeout, and give way."""
    with noted("late"):
        await asyncio.sleep(FOREVER_S)


@main.task(result_ttl=RESULTS_LAST_S, redeliver=False)
async def once(seconds: float) -> str:
    """Bear no second run."""
    with noted("once") as execution:
        await asyncio.sleep(seconds)
        return execution


@plain.task(result_ttl=RESULTS_LAST_S)
def sync(seconds: float) -> str:
    """Block its thread, leaving the processor alone."""
    with noted("sync") as execution:
        time.sleep(seconds)
        return execution


@plain.task(result_ttl=RESULTS_LAST_S)
def cpu(seconds: float) -> str:
    """Compute, which holds the GIL."""
    with noted("cpu") as execution:
        ends = time.thread_time() + seconds
        while time.thread_time() < ends:
            sum(range(1000))
        return execution


@plain.task(timeout=1)
def stuck() -> None:
    """Outlast its timeout in code that nothing can stop but its replica's end."""
    with noted("stuck"):
        time.sleep(FOREVER_S)


@nest.task(result_ttl=RESULTS_LAST_S)
async def parent(children: int) -> str:
    """Enqueue children and await them."""
    with noted("parent") as execution:
        job = current_job()
        assert job is not None
        ledger.unsure("child", children, parent=job.id)
        handles = await quick.aenqueue_many([("child",)] * children)
        for handle in handles:
            ledger.accepted(handle.id, "child")
        for handle in handles:
            # A child that was lost too often is dead; that is for the checker to judge.
            with suppress(TaskFailed):
                await handle
        return execution


@deadly.task(result_ttl=RESULTS_LAST_S)
async def segfault() -> str:
    """Read from address 0, the first time."""
    with noted("segfault") as execution:
        job = current_job()
        assert job is not None
        if not job.deliveries_lost:
            ctypes.string_at(0)
        return execution


@deadly.task
async def poison() -> str:
    """End its process, every time."""
    with noted("poison"):
        os._exit(7)


@deadly.task(result_ttl=RESULTS_LAST_S)
async def beside(seconds: float) -> str:
    """Be there when a neighbour takes the replica along."""
    with noted("beside") as execution:
        await asyncio.sleep(seconds)
        return execution


@deadly.task(result_ttl=RESULTS_LAST_S, redeliver=False)
async def once_beside(seconds: float) -> str:
    """Be there too, and bear no second run."""
    with noted("once beside") as execution:
        await asyncio.sleep(seconds)
        return execution
