"""Kin: steps about jobs and the jobs that they have enqueued."""

from __future__ import annotations

from reuse_queue.broker import codec
from reuse_queue.broker.connection import Step, command
from reuse_queue.broker.keys import Keys
from reuse_queue.context import RunningJob
from reuse_queue.job import JobStatus

_GOES_ON = frozenset({JobStatus.QUEUED, JobStatus.STARTED})


def replaced(keys: Keys, job: RunningJob | None) -> Step[bool]:
    """Return whether the running job, if there is one, runs elsewhere by now, or will."""
    if job is None or job.lineage.over:
        return job is not None
    status, lease = yield [
        command("HGET", keys.job(job.id), "status"),
        command("ZSCORE", keys.registry("wip", job.environment), f"{job.id}:{job.execution}"),
    ]
    return lease is None and codec.status(status) in _GOES_ON
