"""rq's own `Job`, for the code of applications that is written for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from reuse_queue.broker.connection import Connection, Step, command
from reuse_queue.errors import InvalidSettings, JobNotFound
from reuse_queue.job import When
from reuse_queue.serializer import SerializerName

if TYPE_CHECKING:
    from rq.job import Job

_STATUS = {When.SUCCESS: "finished", When.FAILURE: "failed", When.STOPPED: "stopped"}


class RqJobs:
    """Makes rq's jobs of those in Redis.

    Args:
        connection: where they are.
        serializer: how their arguments and meta are written.
    """

    def __init__(self, connection: Connection, serializer: SerializerName) -> None:
        self._connection = connection
        self._serializer = serializer

    def ended(self, job_id: str, when: When, result: object = None) -> Step[Job]:
        """Return a job whose end is not recorded yet, as rq shows it to its callbacks.

        What it does with Redis by itself is blocking, whatever runs the step.

        Raises:
            JobNotFound: it was deleted meanwhile.
            InvalidSettings: rq looks for it elsewhere.
        """
        fields = yield command("HGETALL", self._connection.keys.job(job_id))
        if not fields:
            raise JobNotFound(f"job {job_id} was deleted while it ran")
        job = self._made(job_id, fields)
        job._status, job.ended_at = cast("Any", _STATUS[when]), datetime.now(UTC)  # noqa: SLF001
        job._result = result  # noqa: SLF001  # where rq keeps both until they are recorded
        return job

    def _made(self, job_id: str, fields: dict[bytes, bytes]) -> Job:
        # rq takes longer to import than the rest of a replica; few jobs need it.
        from rq.defaults import RQ_KEY_PREFIX  # noqa: PLC0415
        from rq.job import Job  # noqa: PLC0415

        prefix = self._connection.keys.prefix
        if prefix != RQ_KEY_PREFIX:
            raise InvalidSettings(
                f"jobs are under {prefix!r}, and rq looks for them under {RQ_KEY_PREFIX!r}: set "
                f"RQ_KEY_PREFIX={prefix}"
            )
        client = self._connection.clients.blocking()
        job = Job(job_id, connection=client, serializer=self._serializer)
        job.restore(fields)
        return job
