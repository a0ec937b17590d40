"""The jobs of one `inline` block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from reuse_queue.errors import JobNotFound
from reuse_queue.job import Job, JobStatus, Priority, ResultRecord

if TYPE_CHECKING:
    from reuse_queue.broker.connection import Step


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

    def wait_result(
        self, job_id: str, _block: timedelta
    ) -> Step[tuple[JobStatus | None, ResultRecord | None]]:
        """Return a job's status and the record of its end; there is nothing to wait for."""
        yield from ()
        job = self._find(job_id)
        return (job.status, job.record) if job else (None, None)

    def cancel(self, job_ids: Sequence[str]) -> Step[list[JobStatus | None]]:
        """Return the jobs' statuses: they have ended, or are what is running."""
        yield from ()
        found = [self._find(job_id) for job_id in job_ids]
        return [job.status if job else None for job in found]

    def _find(self, job_id: str) -> InlineJob | None:
        return next((job for job in self.recorded if job.id == job_id), None)
