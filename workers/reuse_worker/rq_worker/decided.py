"""Jobs that have been ended from outside, and end here so that what they name is called."""

from __future__ import annotations

from typing import Any

from reuse_queue.job import Decided, Verdict
from reuse_worker.failures import error_of


def end_as_decided(job: Any, decided: Decided) -> None:
    """Let rq's job raise what it has been ended with, instead of running."""
    if decided.verdict is not Verdict.FAILED:
        job.reuse_stopped = True
        return
    error = error_of(decided)

    def perform() -> None:
        raise error

    job.perform = perform
    if not decided.retry:
        job.retries_left = 0


def was_stopped(job: Any) -> bool:
    """Return whether a job has been told to stop before it came here."""
    return bool(getattr(job, "reuse_stopped", False))
