"""Which job the running code belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningJob:
    """The job that a task's code is running for, as its replica claimed it."""

    id: str
    execution: str
    """This run of it: another one after a retry or a loss has another id."""
    environment: str
    replica: str
    retries_left: int = 0
    deliveries_lost: int = 0
    """How often a replica was lost with this job before."""


_CURRENT: ContextVar[RunningJob | None] = ContextVar("reuse_queue_job", default=None)


def current_job() -> RunningJob | None:
    """Return the job that the calling code runs for; None outside of one.

    It follows the task into `asyncio` tasks and `asyncio.to_thread`; other threads have none.
    """
    return _CURRENT.get()


@contextmanager
def running(job: RunningJob) -> Iterator[None]:
    """Make `job` the current one for the block's code."""
    token = _CURRENT.set(job)
    try:
        yield
    finally:
        _CURRENT.reset(token)
