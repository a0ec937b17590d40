"""JobHandle: one enqueued job, to be waited for, looked at and canceled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import timedelta
from numbers import Real
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from reuse_queue.context import agiving_way, giving_way
from reuse_queue.errors import JobCanceled, JobNotFound, ResultTimeout, TaskFailed
from reuse_queue.job import Ending, Job, JobStatus, ResultKind, ResultRecord

if TYPE_CHECKING:
    from reuse_queue.broker.connection import Step
    from reuse_queue.broker.mail import Told

T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)
# Some 30 years: locks and sockets take no numbers that are much larger.
_LONGEST_S = 1e9


class Jobs(Protocol):
    """What handles ask about jobs (`JobQueue` has the answers, or a stand-in for tests)."""

    def fetch(self, job_id: str) -> Step[Job]:
        """Return a job as it is now."""

    def result(self, job_id: str) -> Step[Ending]:
        """Return its status and the record of its end, as they are now."""

    def ending(self, job_id: str, timeout_s: float | None) -> Ending:
        """Return a job's status and the record of its end, after waiting for it so long."""

    async def aending(self, job_id: str, timeout_s: float | None) -> Ending:
        """Do what `ending` does, without blocking the loop."""

    def watch(self, told: Told) -> AbstractContextManager[Callable[[Sequence[str]], None]]:
        """Return a block in which `told` hears of the ends of jobs that are added."""

    def awatch(
        self, told: Told
    ) -> AbstractAsyncContextManager[Callable[[Sequence[str]], Awaitable[None]]]:
        """Do what `watch` does, without blocking the loop."""

    def cancel(self, job_ids: Sequence[str]) -> Step[list[JobStatus | None]]:
        """Cancel jobs; return the status each had before."""


class Home(Protocol):
    """What a handle needs of its environment."""

    @property
    def name(self) -> str:
        """The environment's name."""

    @property
    def jobs(self) -> Jobs:
        """Where to ask about jobs."""

    def run(self, step: Step[T]) -> T:
        """Run a step, blocking."""

    async def arun(self, step: Step[T]) -> T:
        """Run a step on the running loop."""

    def read_result(self, task: str, data: bytes | None) -> Any:
        """Return the value of a task's serialized result."""


class JobHandle(Generic[R_co]):
    """One job of an environment, known by its id.

    Get it from `enqueue`, or anew by `task.handle(job_id)`. It can be pickled, compared and
    awaited: `await handle` is `await handle.aresult()`. Each method has a twin for coroutines
    whose name begins with `a`.
    """

    __slots__ = ("_home", "_task", "id")

    def __init__(self, home: Home, job_id: str, task: str = "") -> None:
        self._home = home
        self._task = task
        self.id = job_id

    @property
    def environment(self) -> str:
        """The name of the job's environment."""
        return self._home.name

    @property
    def home(self) -> Home:
        """Whom it asks."""
        return self._home

    def result(self, timeout: float | timedelta | None = None) -> R_co:
        """Wait for the job's end and return what the task returned, typed by its annotation.

        A task that waits lets other jobs have its slot meanwhile, and goes on when it has one
        again.

        Args:
            timeout: seconds (or a timedelta) to wait at most; 0 to look once, None for ever.

        Raises:
            TaskFailed: the task raised, was lost too often, or ran over its time.
            JobCanceled: the job was canceled.
            ResultTimeout: it has not ended within `timeout`; it goes on.
            JobNotFound: there is no such job, or its result has expired.
            RedisUnavailable: Redis cannot be reached.
            TypeError, ValueError: `timeout` is no number, or negative or NaN.
        """
        limit = seconds(timeout)
        with giving_way():
            task = self._task or self.job().task
            return self._value(task, self._home.jobs.ending(self.id, limit), limit)

    async def aresult(self, timeout: float | timedelta | None = None) -> R_co:
        """Do what `result` does, without blocking the loop."""
        limit = seconds(timeout)
        async with agiving_way():
            task = self._task or (await self.ajob()).task
            return self._value(task, await self._home.jobs.aending(self.id, limit), limit)

    def result_of(self, ending: Ending) -> R_co:
        """Return, or raise, what `result` does, where it is known already how the job ended."""
        return self._value(self._task or self.job().task, ending, None)

    async def aresult_of(self, ending: Ending) -> R_co:
        """Do what `result_of` does, without blocking the loop."""
        return self._value(self._task or (await self.ajob()).task, ending, None)

    def __await__(self) -> Generator[Any, None, R_co]:
        """Wait for the result, for as long as it takes."""
        return self.aresult().__await__()

    def status(self) -> JobStatus:
        """Return the job's status now.

        Raises:
            JobNotFound: there is no such job (any more).
        """
        return self._home.run(self._status())

    async def astatus(self) -> JobStatus:
        """Do what `status` does, without blocking the loop."""
        return await self._home.arun(self._status())

    def job(self) -> Job:
        """Return all that is known of the job now.

        Raises:
            JobNotFound: there is no such job (any more).
        """
        return self._home.run(self._home.jobs.fetch(self.id))

    async def ajob(self) -> Job:
        """Do what `job` does, without blocking the loop."""
        return await self._home.arun(self._home.jobs.fetch(self.id))

    def cancel(self) -> bool:
        """Cancel the job; return False where it had ended already.

        A waiting job is canceled at once. A running one is ordered to be: its replica hears of it
        at once, and lets a coroutine run its `finally` blocks.

        Raises:
            JobNotFound: there is no such job (any more).
        """
        return self._home.run(self._cancel())

    async def acancel(self) -> bool:
        """Do what `cancel` does, without blocking the loop."""
        return await self._home.arun(self._cancel())

    def __eq__(self, other: object) -> bool:
        """Return whether both are handles of the same job."""
        if not isinstance(other, JobHandle):
            return NotImplemented
        return (self.environment, self.id) == (other.environment, other.id)

    def __hash__(self) -> int:
        return hash((self.environment, self.id))

    def __repr__(self) -> str:
        """Return what to look it up by."""
        return f"<JobHandle {self.id} of {self._task or self.environment}>"

    # -- each written once, for both twins ----------------------------------------------------

    def _value(self, task: str, ending: Ending, timeout: float | None) -> R_co:
        status, record = ending
        if status is not None and not status.ended:
            raise ResultTimeout(
                f"job {self.id} is {status} and did not end within {timeout:g} s; it goes on"
            )
        value: R_co = self._home.read_result(task, self._ended(status, record))
        return value

    def _ended(self, status: JobStatus | None, record: ResultRecord | None) -> bytes | None:
        """Return the serialized result of a job that ended, or raise what became of it."""
        if status in (JobStatus.CANCELED, JobStatus.STOPPED):
            raise JobCanceled(f"job {self.id} was {status}")
        if record is not None and record.kind is ResultKind.SUCCESSFUL:
            return record.value
        if record is not None or status is JobStatus.FAILED:
            raise TaskFailed(self.id, record.error if record else "")
        if status is JobStatus.FINISHED:
            raise JobNotFound(
                f"job {self.id} finished, but its result is not kept any more; see result_ttl"
            )
        raise self._not_found()

    def _status(self) -> Step[JobStatus]:
        status, _ = yield from self._home.jobs.result(self.id)
        if status is None:
            raise self._not_found()
        return status

    def _cancel(self) -> Step[bool]:
        (before,) = yield from self._home.jobs.cancel([self.id])
        if before is None:
            raise self._not_found()
        return not before.ended

    def _not_found(self) -> JobNotFound:
        return JobNotFound(
            f"there is no job {self.id}: it never existed, or it ended and its record has expired "
            "(a task's result_ttl and failure_ttl say when)"
        )


def seconds(timeout: float | timedelta | None) -> float | None:
    """Return a timeout in seconds; None for no limit, which an infinite one is, too.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative or NaN.
    """
    given: Any = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if given is None:
        return None
    if not _is_number(given):
        raise TypeError(
            f"timeout must be a number of seconds, a timedelta or None, got {timeout!r}"
        )
    if not given >= 0:  # NaN is not, either
        raise ValueError(f"timeout must not be negative or NaN, got {timeout!r}; 0 does not wait")
    return None if given > _LONGEST_S else float(given)


def _is_number(given: object) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)
