"""The jobs of one `inline` block."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from reuse_queue.errors import JobNotFound
from reuse_queue.job import Ending, Job, JobStatus, Priority, ResultRecord
from reuse_queue.testing.loop import in_thread

if TYPE_CHECKING:
    from reuse_queue.broker.connection import Step
    from reuse_queue.broker.mail import Told

_LOOK_S = 0.01
_Coroutine = Callable[..., Coroutine[Any, Any, Any]]


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
        self._canceled: set[str] = set()
        self._stops: dict[str, Callable[[], object]] = {}

    def record(self, job: InlineJob) -> None:
        """Take up a job that has been enqueued; it may have been canceled already."""
        if job.id in self._canceled:
            job.status = JobStatus.CANCELED
        self.recorded.append(job)

    def stoppable(self, job: InlineJob, function: _Coroutine) -> _Coroutine:
        """Return a job's coroutine function, which `cancel` can stop where it awaits."""

        async def stoppable(*args: Any, **kwargs: Any) -> Any:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None  # noqa: S101
            self._stops[job.id] = partial(loop.call_soon_threadsafe, task.cancel)
            try:
                if job.status.ended:  # canceled before there was something to stop
                    raise asyncio.CancelledError
                return await function(*args, **kwargs)
            finally:
                del self._stops[job.id]

        return stoppable

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

    @contextmanager
    def watch(self, told: Told) -> Iterator[Callable[[Sequence[str]], None]]:
        """Yield what lets `told` hear of the ends of jobs; another thread may be running them."""

        def add(job_ids: Sequence[str]) -> None:
            for job_id in job_ids:
                found = self._ending(job_id)
                if _goes_on(found, None):
                    in_thread(partial(self._tell_in_time, told, job_id))
                else:
                    told(job_id, found)

        yield add

    @asynccontextmanager
    async def awatch(self, told: Told) -> AsyncIterator[Callable[[Sequence[str]], Awaitable[None]]]:
        """Do what `watch` does, without blocking the loop."""
        loop = asyncio.get_running_loop()

        def tell(job_id: str, known: Any) -> None:
            with suppress(RuntimeError):  # nobody waits any more: the loop is closed
                loop.call_soon_threadsafe(told, job_id, known)

        with self.watch(tell) as add_here:

            async def add(job_ids: Sequence[str]) -> None:
                add_here(job_ids)
                await asyncio.sleep(0)  # what has ended is told of now

            yield add

    def cancel(self, job_ids: Sequence[str]) -> Step[list[JobStatus | None]]:
        """Cancel those that another thread runs, or is about to; return the statuses before.

        A coroutine is canceled where it awaits; what a function still returns is dropped.
        """
        yield from ()
        return [self._cancel(job_id) for job_id in job_ids]

    def _cancel(self, job_id: str) -> JobStatus | None:
        job = self._find(job_id)
        if job is None:
            self._canceled.add(job_id)
            return None
        before = job.status
        if not before.ended:
            job.status = JobStatus.CANCELED
            with suppress(RuntimeError):  # its loop has just been closed
                self._stops.get(job_id, int)()
        return before

    def _tell_in_time(self, told: Told, job_id: str) -> None:
        told(job_id, self.ending(job_id, None))

    def _ending(self, job_id: str) -> Ending:
        job = self._find(job_id)
        return (job.status, job.record) if job else (None, None)

    def _find(self, job_id: str) -> InlineJob | None:
        return next((job for job in self.recorded if job.id == job_id), None)


def _goes_on(ending: Ending, gives_up: float | None) -> bool:
    status, _ = ending
    ended = status is None or status.ended
    return not ended and (gives_up is None or time.monotonic() < gives_up)
