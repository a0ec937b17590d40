"""Callbacks: calls what jobs name to be called at their ends, before these are recorded."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from reuse_queue import context
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.rq_jobs import RqJobs
from reuse_queue.callbacks import Callback
from reuse_queue.ends import When
from reuse_queue.environment import TaskEnvironment
from reuse_queue.job import ClaimedJob, Outcome
from reuse_queue.lineage import Lineage
from reuse_worker.call import Call
from reuse_worker.endings import endings
from reuse_worker.sync_thread import SyncThread


@dataclass(frozen=True, slots=True)
class _Due:
    """A callback that is to be called now."""

    call: Call
    when: When
    given: tuple[Any, ...]
    callback: Callback
    limit: timedelta | None
    thread: SyncThread


class Callbacks:
    """Calls the callbacks of calls that have ended.

    Plain functions run on the sync thread, coroutine functions on the loop, whatever their task
    is. Each has a limit of its own, which the board shows: what does not keep to it is killed
    together with its replica, as a task is.

    Args:
        env: the environment that they are registered on.
        connection: where the job is read that they are given.
        rq_jobs: makes that job.
        running: says what their code may know of its job.
    """

    def __init__(
        self,
        env: TaskEnvironment,
        connection: Connection,
        rq_jobs: RqJobs,
        running: Callable[[ClaimedJob, Lineage, str], context.RunningJob],
    ) -> None:
        self._env = env
        self._connection = connection
        self._rq_jobs = rq_jobs
        self._running = running
        self._patience = connection.settings.lease
        self._kill_grace = connection.settings.kill_grace
        self._loop = asyncio.get_running_loop()

    async def after(self, call: Call, outcome: Outcome, thread: SyncThread) -> Outcome:
        """Call what the end of a coroutine task calls for; return its outcome after that."""
        steps, error = endings(call, outcome), None
        while True:
            try:
                due = self._due(call, *steps.send(error), thread)
            except StopIteration as stop:
                return self._done(call, stop)
            if due.callback.is_async:
                error = await self._coroutine(due)
            else:
                here = partial(contextvars.copy_context().run, self._plain, due)
                error = await _to_its_end(thread.call(here))

    def after_here(self, call: Call, outcome: Outcome, thread: SyncThread) -> Outcome:
        """Do the same for a plain task, on the sync thread."""
        steps, error = endings(call, outcome), None
        while True:
            try:
                due = self._due(call, *steps.send(error), thread)
            except StopIteration as stop:
                return self._done(call, stop)
            if due.callback.is_async:
                running = asyncio.run_coroutine_threadsafe(self._coroutine(due), self._loop)
                error = running.result()
            else:
                error = self._plain(due)

    # ---------------------------------------------------------------------------------------

    def _due(self, call: Call, when: When, given: tuple[Any, ...], thread: SyncThread) -> _Due:
        named = (call.job.callbacks or {})[when]
        return _Due(call, when, given, self._env.callbacks[named.name], named.timeout, thread)

    @staticmethod
    def _done(call: Call, stop: StopIteration) -> Outcome:
        call.error = None  # whose traceback holds the call
        outcome: Outcome = stop.value
        return outcome

    async def _coroutine(self, due: _Due) -> BaseException | None:
        limit = due.limit
        due.thread.allow(due.call, None if limit is None else limit + self._kill_grace)
        timer = asyncio.timeout(None if limit is None else limit.total_seconds())
        try:
            running = self._running(due.call.job, Lineage(), due.when)
            with context.running(replace(running, coroutine=True)):
                async with timer:
                    job = await self._connection.arun(self._job(due), patience=self._patience)
                    client = self._connection.clients.asynchronous()
                    await due.callback.function(job, client, *due.given)
        except BaseException as error:  # noqa: BLE001  # foreign code; an error is an outcome here
            return _late(due, error) if timer.expired() else error
        return None

    def _plain(self, due: _Due) -> BaseException | None:
        due.thread.allow(due.call, None)
        try:
            with context.running(self._running(due.call.job, Lineage(), due.when)):
                self._rq_jobs.prepare()
                # Over the loop's connections: the heart cuts those that nothing comes through. That
                # the loop may be busy, or Redis away, is not the callback's fault.
                asking = self._connection.arun(self._job(due), patience=self._patience)
                job = asyncio.run_coroutine_threadsafe(asking, self._loop).result()
                due.thread.allow(due.call, due.limit)
                due.callback.function(job, self._connection.clients.blocking(), *due.given)
        except BaseException as error:  # noqa: BLE001  # foreign code; an error is an outcome here
            return error
        return None

    def _job(self, due: _Due) -> Any:
        result = due.given[0] if due.when is When.SUCCESS else None
        return self._rq_jobs.ended(due.call.job.id, due.when, result)


async def _to_its_end(
    doing: Coroutine[Any, Any, BaseException | None],
) -> BaseException | None:
    """Return what the sync thread returns; a cancel cannot end what runs there."""
    task = asyncio.ensure_future(doing)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            continue  # its order is known: it is obeyed when the callback has returned
    return task.result()


def _late(due: _Due, error: BaseException) -> BaseException:
    limit = due.limit.total_seconds() if due.limit else 0
    named = TimeoutError(
        f"the {due.when} callback {due.callback.name} ran longer than its timeout of {limit:g} s"
    )
    named.__cause__ = error.__cause__ or error.__context__
    return named
