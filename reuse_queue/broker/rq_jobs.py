"""rq's own `Job`, for the code of applications that is written for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from reuse_queue.broker.connection import Connection, Step, command
from reuse_queue.ends import When
from reuse_queue.errors import InvalidSettings, JobNotFound
from reuse_queue.serializer import SerializerName

if TYPE_CHECKING:
    from rq.job import Job

_STATUS = {When.SUCCESS: "finished", When.FAILURE: "failed", When.STOPPED: "stopped"}


class RqJobs:
    """Makes rq's jobs of those in Redis.

    What they do with Redis themselves is blocking. rq takes longer to import than the rest of a
    replica, and is only imported for the first of them.

    Args:
        connection: where they are.
        serializer: how their arguments and meta are written.
    """

    def __init__(self, connection: Connection, serializer: SerializerName) -> None:
        self._connection = connection
        self._serializer = serializer

    def prepare(self) -> None:
        """Import rq, for who is about to run `ended` where that must not take long."""
        import rq.job  # noqa: F401, PLC0415

    def ended(self, job_id: str, when: When, result: object = None) -> Step[Job]:
        """Return a job whose end is not recorded yet, as rq shows it to its callbacks.

        Raises:
            JobNotFound: it was deleted meanwhile.
            InvalidSettings: rq looks for it elsewhere.
        """
        fields = yield from self._fields(job_id)
        from rq.job import Job  # noqa: PLC0415

        job = Job.__new__(Job)
        self._fill(job, job_id, fields)
        job._status, job.ended_at = cast("Any", _STATUS[when]), datetime.now(UTC)  # noqa: SLF001
        job._result = result  # noqa: SLF001  # where rq keeps both until they are recorded
        return job

    def enter(self, job_id: str) -> None:
        """Let rq's `get_current_job()` return this job in the running context, if rq is here.

        It is read from Redis when the code first looks at it, or sets something.
        """
        rq = sys.modules.get("rq.job")
        if rq is not None:
            job = _waiting(rq.Job)(job_id, lambda job: self._load(job, job_id))
            rq._current_job.set(job)  # noqa: SLF001  # where rq's workers put it

    # ---------------------------------------------------------------------------------------

    def _load(self, job: Job, job_id: str) -> None:
        self._fill(job, job_id, self._connection.run(self._fields(job_id)))

    def _fields(self, job_id: str) -> Step[dict[bytes, bytes]]:
        from rq.defaults import RQ_KEY_PREFIX  # noqa: PLC0415

        keys = self._connection.keys
        if keys.prefix != RQ_KEY_PREFIX:
            raise InvalidSettings(
                f"jobs are under {keys.prefix!r}, and rq looks for them under {RQ_KEY_PREFIX!r}: "
                f"set RQ_KEY_PREFIX={keys.prefix}"
            )
        fields: dict[bytes, bytes] = yield command("HGETALL", keys.job(job_id))
        if not fields:
            raise JobNotFound(f"job {job_id} was deleted while it ran")
        return fields

    def _fill(self, job: Job, job_id: str, fields: dict[bytes, bytes]) -> None:
        client = self._connection.clients.blocking()
        type(job).__init__(job, job_id, connection=client, serializer=self._serializer)
        job.restore(fields)


@cache
def _waiting(kind: type[Job]) -> Callable[[str, Callable[[Job], None]], Job]:
    """Return what makes jobs of rq's class that are loaded by a function when they are used."""

    class CurrentJob(kind):  # type: ignore[misc]  # rq's class as this process has it
        def __getattr__(self, name: str) -> Any:
            if "_load" not in self.__dict__:
                raise AttributeError(name)
            self._loaded()
            return getattr(self, name)

        def __setattr__(self, name: str, value: object) -> None:
            if "_load" in self.__dict__:
                self._loaded()
            super().__setattr__(name, value)

        def _loaded(self) -> None:
            before = dict(self.__dict__)
            try:
                self.__dict__.pop("_load")(self)
            except BaseException:
                self.__dict__.clear()
                self.__dict__.update(before)
                raise

    def made(job_id: str, load: Callable[[Job], None]) -> Job:
        job = CurrentJob.__new__(CurrentJob)
        job.__dict__.update(_id=job_id, _load=load)
        return cast("Job", job)

    return made
