"""The jobs of one `inline` block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from reuse_queue.errors import JobNotFound
from reuse_queue.job import Ending, Job, JobStatus, Priority, ResultRecord

if TYPE_CHECKING:
    from reuse_queue.broker.connection import Step


_LOOK_S = 0.01


@dataclass(slots=True, kw_only=True)
class InlineJob:
    """A job that was enqueued within `inline`, and what became of it."""

    id: str
    environment: str
    task: str
    """The function's dotted name."""
    args: tuple[Any, ...]
    """As the task gets them: through the serializer and back."""
    kwargs: dict[str, Any]
    priority: Priority
    delay: timedelta | None
    """How long it would have waited; within `inline` it runs at once."""
    status: JobStatus = JobStatus.STARTED
    attempts: int = 0
    """How often it ran: once, and once more for each retry."""
    record: ResultRecord | None = field(default=None, repr=False)


class InlineJobs:
    """Answers what handles ask."""

    def __init__(self) -> None:
        self.recorded: list[InlineJob] = []

    def fetch(self, job_id: str) -> Step[Job]:
        """Return a job as it is now."""
        yield from ()
        job = self._find(job_id)
        if job is None:
            raise JobNotFound(f"there is no job {job_id!r} in this inline block")
        return Job(
            id=job.id,
            environment=job.environment,
            status=job.status,
            task=job.task,
            description=job.task,
        )

    def result(self, job_id: str) -> Step[Ending]:
        """Return a job's status and the record of its end."""
        yield from ()
        return self._ending(job_id)

    def ending(self, job_id: str, timeout_s: float | None) -> Ending:
        """Return a job's status and the record of its end; another thread may be running it."""
        gives_up = None if timeout_s is None else time.monotonic() + timeout_s
        while _goes_on(found := self._ending(job_id), gives_up):
            time.sleep(_LOOK_S)
        return found

    async def aending(self, job_id: str, timeout_s: float | None) -> Ending:
        """Do what `ending` does, without blocking the loop."""
        gives_up = None if timeout_s is None else time.monotonic() + timeout_s
        while _goes_on(found := self._ending(job_id), gives_up):  # noqa: ASYNC110  # a dataclass
            await asyncio.sleep(_LOOK_S)
        return found

    def cancel(self, job_ids: Sequence[str]) -> Step[list[JobStatus | None]]:
        """Return the jobs' statuses: they have ended, or are what is running."""
        yield from ()
        found = [self._find(job_id) for job_id in job_ids]
        return [job.status if job else None for job in found]

    def _ending(self, job_id: str) -> Ending:
        job = self._find(job_id)
        return (job.status, job.record) if job else (None, None)

    def _find(self, job_id: str) -> InlineJob | None:
        return next((job for job in self.recorded if job.id == job_id), None)


def _goes_on(ending: Ending, gives_up: float | None) -> bool:
    status, _ = ending
    ended = status is None or status.ended
    return not ended and (gives_up is None or time.monotonic() < gives_up)
