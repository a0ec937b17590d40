"""JobQueue: what applications and operators do with jobs. All methods return steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from reuse_queue.broker.connection import Step
from reuse_queue.broker.keys import Keys
from reuse_queue.job import Job, JobStatus, NewJob, ResultRecord


class JobQueue:
    """Enqueue, look at, cancel and retry jobs; `Connection.run` runs what the methods return."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def enqueue(self, env: str, jobs: Sequence[NewJob]) -> Step[int]:
        """Write jobs and push their ids; return how many were new.

        One round trip (batches of at most 1,000 in one pipeline). A job whose id exists already
        is left as it is, so a repeat after a lost reply is harmless. Wakes the scaler.
        """
        raise NotImplementedError

    def fetch(self, job_id: str) -> Step[Job]:
        """Return a job as it is now.

        Raises:
            JobNotFound: there is no such job.
        """
        raise NotImplementedError

    def fetch_many(self, job_ids: Sequence[str]) -> Step[list[Job]]:
        """Return those of the jobs that exist, in the given order, in one round trip."""
        raise NotImplementedError

    def result(self, job_id: str) -> Step[tuple[JobStatus | None, ResultRecord | None]]:
        """Return a job's status and newest final result record; (None, None) for no such job."""
        raise NotImplementedError

    def wait_result(
        self, job_id: str, block: timedelta
    ) -> Step[tuple[JobStatus | None, ResultRecord | None]]:
        """Return what `result` does, after waiting for a final record for at most `block`.

        Waits on the result stream (XREAD BLOCK, at most MAX_BLOCK_S a call); a job that ends
        without a record (canceled) is seen when the wait ends.
        """
        raise NotImplementedError

    def cancel(self, job_ids: Sequence[str]) -> Step[list[JobStatus | None]]:
        """Cancel jobs; return the status each had before, None where there is no such job.

        Queued, scheduled and deferred jobs are canceled at once; a running one is ordered to be
        (its replica hears of it at once and records it); one that has ended is left as it is.
        """
        raise NotImplementedError

    def requeue(self, job_ids: Sequence[str]) -> Step[list[JobStatus | None]]:
        """Put failed, canceled or stopped jobs back into their queue; return the statuses before.

        Jobs in another status are left as they are. The count of losses starts anew.
        """
        raise NotImplementedError

    def ids(self, env: str, status: JobStatus, start: int, count: int) -> Step[list[str]]:
        """Return ids of an environment's jobs of one status, at most `count` from `start` on."""
        raise NotImplementedError

    def counts(self, env: str) -> Step[dict[JobStatus, int]]:
        """Return how many jobs of an environment are in each status that has a registry."""
        raise NotImplementedError

    def due(self, env: str, limit: int = 1000) -> Step[int]:
        """Move scheduled jobs that are due to the queue; return how many."""
        raise NotImplementedError
