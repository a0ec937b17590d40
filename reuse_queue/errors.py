"""Every error that reuse_queue raises on purpose; a class's docstring is its default message."""

from __future__ import annotations

import re

_CHAINED = re.compile(
    r"^(?:The above exception was the direct cause of the following exception|"
    r"During handling of the above exception, another exception occurred):$",
    re.MULTILINE,
)
_NAMED = re.compile(r"(?:\s+\| )?([A-Za-z_][\w.<>]*(?:: .*)?)")


class ReuseQueueError(Exception):
    """Something went wrong in reuse_queue."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class InvalidSettings(ReuseQueueError, ValueError):
    """A setting has a value that cannot be used."""


class RedisUnavailable(ReuseQueueError, ConnectionError):
    """Redis cannot be reached."""


class RedisRefused(ReuseQueueError):
    """Redis refused a command: it is full, read-only, or this user may not give it."""


class NotReplicated(ReuseQueueError):
    """Jobs were accepted, but no replica of Redis has confirmed that it has them."""

    job_ids: tuple[str, ...]
    """The accepted jobs. They run; they are lost if the primary fails before it has copied them."""

    def __init__(self, message: str | None = None, job_ids: tuple[str, ...] = ()) -> None:
        self.job_ids = job_ids
        super().__init__(message)

    def __reduce__(self) -> tuple[type[NotReplicated], tuple[str, tuple[str, ...]]]:
        """Pickle with the jobs (the default would pass the message only)."""
        return type(self), (str(self), self.job_ids)


class UnsupportedRedis(ReuseQueueError):
    """This Redis cannot keep a queue safely."""


class NewerFormat(ReuseQueueError):
    """Redis has records of a newer release of reuse_queue: upgrade this one."""


class RedisNotInstalled(ReuseQueueError):
    """No Redis server is installed here, neither as a wheel nor as a program on PATH."""


class FolderInUse(ReuseQueueError):
    """Another server uses this data folder."""


class UnknownEnvironment(ReuseQueueError, LookupError):
    """There is no environment of that name."""


class UnknownTask(ReuseQueueError, LookupError):
    """No task of that name is registered on the environment."""


class UnknownCallback(ReuseQueueError, LookupError):
    """No callback of that name is registered on the environment."""


class UnknownReplica(ReuseQueueError, LookupError):
    """There is no replica of that name."""


class JobNotFound(ReuseQueueError, LookupError):
    """There is no job of that id: it never existed, or its record has expired."""


class InvalidArguments(ReuseQueueError, TypeError):
    """The arguments do not fit the task's signature."""


class NotSerializable(ReuseQueueError, TypeError):
    """A value cannot be written by the environment's serializer."""


class NotDeserializable(ReuseQueueError, ValueError):
    """A payload cannot be read by the environment's serializer."""


class InvalidSignature(ReuseQueueError, ValueError):
    """A payload is not signed, or not with a key that is known here."""


class PayloadTooLarge(ReuseQueueError, ValueError):
    """A payload is over the size limit."""


class WrongJobStatus(ReuseQueueError):
    """The job is in a status that does not allow this."""


class ResultTimeout(ReuseQueueError, TimeoutError):
    """The job did not end within the given time."""


class WouldBlock(ReuseQueueError, RuntimeError):
    """A coroutine on a replica must not block all others there: await what has the result."""


class JobCanceled(ReuseQueueError):
    """The job was canceled."""


class LeaseLost(ReuseQueueError):
    """The replica no longer owns what it claimed."""


class TargetNotLoaded(ReuseQueueError, ImportError):
    """The application's module cannot be imported or has no such environment."""


class JobLost(ReuseQueueError):
    """The job was lost with its replica, too often to be tried again."""


class JobTimeout(ReuseQueueError, TimeoutError):
    """The job ran longer than its timeout."""


class QueueTimeout(ReuseQueueError, TimeoutError):
    """The job was not started within its queue_timeout."""


class DeadlinePassed(ReuseQueueError, TimeoutError):
    """The job had not ended by its deadline."""


class LeadLost(ReuseQueueError):
    """Another scaler leads."""


class HostTaken(ReuseQueueError):
    """Another agent runs under this host's name."""


class TaskFailed(ReuseQueueError):
    """The task raised an error.

    Attributes:
        job_id: id of the failed job.
        traceback: what the replica recorded, as text.
    """

    def __init__(self, job_id: str, traceback: str) -> None:
        self.job_id = job_id
        self.traceback = traceback
        why = _named_by(traceback) or "no reason was recorded"
        super().__init__(f"job {job_id} failed: {why}\n\n{traceback.strip()}")

    def __reduce__(self) -> tuple[type[TaskFailed], tuple[str, str]]:
        """Pickle by what it was made from (the default would pass the message)."""
        return type(self), (self.job_id, self.traceback)


def _named_by(traceback: str) -> str:
    """Return the line that names the error; its message or its notes may go on below it."""
    lines = _CHAINED.split(traceback.strip())[-1].strip().splitlines()
    frames = [place for place, line in enumerate(lines) if line.startswith("  File ")]
    after = lines[frames[-1] + 1 :] if frames else lines
    named = (match[1] for line in after if (match := _NAMED.fullmatch(line)))
    return next(named, lines[-1] if lines else "")
