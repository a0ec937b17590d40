"""enqueue_and_wait: a task is called as its function is, and runs on a replica."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from reuse_queue.context import refuse_to_block
from reuse_queue.errors import JobCanceled, ReuseQueueError, TaskFailed
from reuse_queue.handle import JobHandle

if TYPE_CHECKING:
    from reuse_queue.job import NewJob

P = ParamSpec("P")
R = TypeVar("R")


class Calling(Generic[P, R]):
    """What a task can do without a handle."""

    environment: Any

    if TYPE_CHECKING:

        def handle(self, job_id: str) -> JobHandle[R]:
            """Return the handle of a job."""

        def _new_job(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NewJob: ...

    def enqueue_and_wait(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Write a job for these arguments, wait for its end and return what the task returned.

        Nobody else knows of the job: whatever ends the wait, an interrupt or Redis that went away,
        cancels it. A task that waits lets other jobs have its slot meanwhile.

        Raises:
            InvalidArguments and others: what `enqueue` and a handle's `result` raise.
        """
        refuse_to_block()
        job = self._new_job(args, kwargs)
        try:
            self.environment.run(self.environment.write([job]))
            return self.handle(job.id).result()
        except (TaskFailed, JobCanceled):
            raise
        except BaseException:
            with suppress(ReuseQueueError):
                self.environment.run(self.environment.jobs.cancel([job.id]))
            raise

    async def aenqueue_and_wait(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do what `enqueue_and_wait` does, without blocking the loop.

        Who is canceled while it waits, by `asyncio.timeout` for instance, cancels the job.
        """
        job = self._new_job(args, kwargs)
        try:
            await self.environment.arun(self.environment.write([job]))
            return await self.handle(job.id)
        except (TaskFailed, JobCanceled):
            raise
        except BaseException:
            with suppress(ReuseQueueError):
                await self.environment.arun(self.environment.jobs.cancel([job.id]))
            raise
