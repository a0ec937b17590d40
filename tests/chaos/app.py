"""The application under chaos: tasks that end as tasks do."""

from __future__ import annotations

import asyncio
import time

from chaos import families, hostile
from chaos.environments import (
    RESULTS_LAST_S,
    deadly,
    ledger,
    main,
    mourn,
    nest,
    noted,
    plain,
    solo,
    stand_still,
)
from reuse_queue import current_job

# What the agents are told to run, with the tasks of all modules.
__all__ = ["deadly", "families", "hostile", "ledger", "main", "nest", "plain", "solo"]
LARGE = 200_000


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


@main.task(retries=1, backoff=None, on_failure=mourn)
async def failing() -> str:
    """Raise always."""
    with noted("failing"):
        raise ValueError("never")


@main.task(result_ttl=RESULTS_LAST_S, redeliver=False, on_failure=mourn)
async def once(seconds: float) -> str:
    """Bear no second run."""
    with noted("once") as execution:
        await asyncio.sleep(seconds)
        return execution


@plain.task(result_ttl=RESULTS_LAST_S)
def sync(seconds: float) -> str:
    """Block its thread, leaving the processor alone."""
    with noted("sync") as execution:
        stand_still(seconds)
        return execution


@plain.task(result_ttl=RESULTS_LAST_S)
def cpu(seconds: float) -> str:
    """Compute, which holds the GIL."""
    with noted("cpu") as execution:
        ends = time.thread_time() + seconds
        while time.thread_time() < ends:
            sum(range(1000))
        return execution


@deadly.task(result_ttl=RESULTS_LAST_S)
async def beside(seconds: float) -> str:
    """Be there when a neighbour takes the replica along."""
    with noted("beside") as execution:
        await asyncio.sleep(seconds)
        return execution


@deadly.task(result_ttl=RESULTS_LAST_S, redeliver=False, on_failure=mourn)
async def once_beside(seconds: float) -> str:
    """Be there too, and bear no second run."""
    with noted("once beside") as execution:
        await asyncio.sleep(seconds)
        return execution
