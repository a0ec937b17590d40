"""InlineLink: stands in for Redis; what is written runs."""

from __future__ import annotations

import asyncio
import threading
import traceback
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from reuse_queue.context import RunningJob, running
from reuse_queue.environment import TaskEnvironment
from reuse_queue.errors import JobTimeout, NotSerializable, PayloadTooLarge
from reuse_queue.job import JobStatus, NewJob, ResultKind, ResultRecord
from reuse_queue.settings import Settings
from reuse_queue.task import Task
from reuse_queue.testing.jobs import InlineJob, InlineJobs
from reuse_queue.testing.loop import Loop, in_thread

if TYPE_CHECKING:
    from reuse_queue.broker.connection import Step

T = TypeVar("T")
_IN_HOOKS: ContextVar[bool] = ContextVar("reuse_queue_in_hooks", default=False)


class InlineLink:
    """Runs jobs when they are written, and keeps what became of them."""

    def __init__(self, loop: Loop) -> None:
        self.settings = Settings.from_env()
        self.jobs = InlineJobs()
        self._loop = loop
        self._started: dict[str, tuple[TaskEnvironment, Future[None]]] = {}
        self._lock = threading.Lock()

    def start(self, environment: TaskEnvironment) -> None:
        """Return when the hooks that precede an environment's first job have run, once."""
        with self._lock:
            first = environment.name not in self._started
            _, started = self._started.setdefault(environment.name, (environment, Future()))
        if first:
            try:
                self._run_hooks(environment)
            except BaseException as error:
                started.set_exception(error)
                raise
            started.set_result(None)
        elif not _IN_HOOKS.get():  # a hook that enqueues must not wait for itself
            started.result()

    def stop(self) -> None:
        """Run the on_stop hooks of what was started, the last environment's first."""
        for environment, _ in reversed(self._started.values()):
            for hook in environment.hooks.on_stop:
                self._loop.call(hook)

    def write(self, environment: TaskEnvironment, jobs: Sequence[NewJob]) -> Step[None]:
        """Run jobs, one after the other."""
        yield from ()
        self.start(environment)
        for job in jobs:
            self._perform(environment, job)

    def run(self, step: Step[T]) -> T:
        """Run a step here, or beside the loop that runs here."""
        return self._loop.beside(lambda: _finished(step))

    async def arun(self, step: Step[T]) -> T:
        """Run a step in another thread."""
        return await asyncio.wrap_future(in_thread(lambda: _finished(step)))

    def _run_hooks(self, environment: TaskEnvironment) -> None:
        token = _IN_HOOKS.set(True)
        try:
            for hook in (*environment.hooks.preload, *environment.hooks.on_start):
                self._loop.call(hook)
        finally:
            _IN_HOOKS.reset(token)

    def _perform(self, environment: TaskEnvironment, new: NewJob) -> None:
        task, args, kwargs = _read(environment, new)
        job = InlineJob(
            id=new.id,
            environment=environment.name,
            task=task.name,
            args=args,
            kwargs=kwargs,
            priority=new.terms.priority,
            delay=new.terms.delay,
        )
        self.jobs.record(job)
        while job.status is JobStatus.STARTED:
            job.attempts += 1
            self._attempt(environment, job, new)

    def _attempt(self, environment: TaskEnvironment, job: InlineJob, new: NewJob) -> None:
        # Read anew each time: what one attempt does to its arguments, the next must not see.
        task, args, kwargs = _read(environment, new)
        left = new.terms.retries + 1 - job.attempts
        try:
            with running(_running(job, left, coroutine=task.is_async)):
                function = self._function(task, job, new.terms.timeout)
                value = self._loop.call(function, *args, **kwargs)
            limit, writes = self.settings.max_payload, environment.serializer
            data = None if value is None else writes.dumps_result(task.name, value, limit)
        except (Exception, SystemExit, asyncio.CancelledError) as error:  # noqa: BLE001  # a task's
            # A result that cannot be written stays so, as in a replica.
            if left == 0 or isinstance(error, NotSerializable | PayloadTooLarge):
                text = "".join(traceback.format_exception(error))
                _end(job, JobStatus.FAILED, ResultRecord(kind=ResultKind.FAILED, error=text))
        else:
            kept = new.terms.result_ttl != timedelta(0)
            record = ResultRecord(kind=ResultKind.SUCCESSFUL, value=data) if kept else None
            _end(job, JobStatus.FINISHED, record)

    def _function(
        self, task: Task[..., Any], job: InlineJob, timeout: timedelta | None
    ) -> Callable[..., Any]:
        """Return a task's function; if it is a coroutine function, held to its timeout."""
        if not task.is_async:
            return task.function
        return self.jobs.stoppable(job, _timed(task, timeout))


def _end(job: InlineJob, status: JobStatus, record: ResultRecord | None) -> None:
    if not job.status.ended:  # a canceled one stays so
        job.record, job.status = record, status


def _read(
    environment: TaskEnvironment, new: NewJob
) -> tuple[Task[..., Any], tuple[Any, ...], dict[str, Any]]:
    name, args, kwargs = environment.serializer.unpack(new.data)
    task = environment.lookup(name)
    return task, *task.signature.arguments(args, kwargs)


def _running(job: InlineJob, retries_left: int, *, coroutine: bool) -> RunningJob:
    return RunningJob(
        id=job.id,
        execution=uuid.uuid4().hex,
        environment=job.environment,
        replica="inline",
        retries_left=retries_left,
        run=str(job.attempts),
        coroutine=coroutine,
    )


def _timed(task: Task[..., Any], timeout: timedelta | None) -> Callable[..., Any]:
    """Return a task's coroutine function, held to its timeout."""
    if timeout is None:
        return task.function

    async def timed(*args: Any, **kwargs: Any) -> Any:
        limit = asyncio.timeout(timeout.total_seconds())
        try:
            async with limit:
                return await task.function(*args, **kwargs)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise JobTimeout(
                f"the job ran longer than its timeout of {timeout.total_seconds():g} s"
            ) from error

    return timed


def _finished(step: Step[T]) -> T:
    try:
        next(step)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise RuntimeError("within inline() there is no Redis to ask; this needs a real one")
