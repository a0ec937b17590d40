"""Post: waits for the ends of any number of jobs, over one connection."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.lines import Exchange
from reuse_queue.broker.mail import Mailbox, Notes, Told
from reuse_queue.broker.queue import JobQueue
from reuse_queue.errors import RedisUnavailable, ReuseQueueError
from reuse_queue.job import Ending


@dataclass(slots=True)
class _Threads:
    """What the threads of a process share: one of its own listens for all."""

    box: Mailbox
    lock: threading.Lock = field(default_factory=threading.Lock)
    listener: threading.Thread | None = None


@dataclass(slots=True)
class _Loop:
    box: Mailbox
    new: list[str] = field(default_factory=list)
    asker: asyncio.Task[None] | None = None
    listener: asyncio.Task[None] | None = None


class Post(JobQueue):
    """A JobQueue that waits for jobs, too: each event loop has a mailbox, all threads have one.

    Args:
        connection: where the jobs are.
        patience: how long each request keeps trying to reach Redis.
    """

    def __init__(self, connection: Connection, patience: timedelta = timedelta(0)) -> None:
        self._connection = connection
        self._patience = patience
        super().__init__(connection.keys, connection.settings.replication_timeout, patience)
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._threads = _Threads(Mailbox(self._connection.keys))
        self._loops: dict[asyncio.AbstractEventLoop, _Loop] = {}

    def ending(self, job_id: str, timeout_s: float | None) -> Ending:
        """Return a job's status and the record of its end, after at most `timeout_s`.

        Raises:
            RedisUnavailable: Redis could not be reached, or went away meanwhile.
            RedisRefused: it answered, with an error.
        """
        if timeout_s is None or timeout_s > 0:
            ends_at = None if timeout_s is None else time.monotonic() + timeout_s
            self._of_this_process()
            at, promise = self._threads, Future[Ending]()
            at.box.add(job_id, promise)
            try:
                self._connection.run(at.box.ask([job_id]), patience=self._patience)
                if not promise.done():
                    self._listen(at)
                return promise.result(None if ends_at is None else ends_at - time.monotonic())
            except ReuseQueueError:
                raise  # some of ours are TimeoutErrors
            except TimeoutError:
                pass
            finally:
                at.box.drop(job_id, promise)
        return self._connection.run(self.result(job_id), patience=self._patience)

    async def aending(self, job_id: str, timeout_s: float | None) -> Ending:
        """Do what `ending` does, without blocking the loop."""
        if timeout_s is None or timeout_s > 0:
            at = self._on_this_loop()
            promise = asyncio.get_running_loop().create_future()
            at.box.add(job_id, promise)
            at.new.append(job_id)
            try:
                if at.asker is None:
                    at.asker = _apart(self._ask(at))
                await asyncio.wait([promise], timeout=timeout_s)
                if promise.done():
                    ending: Ending = promise.result()
                    return ending
            finally:
                at.box.drop(job_id, promise)
                if not at.box:
                    await _ended(at)
        return await self._connection.arun(self.result(job_id), patience=self._patience)

    @contextmanager
    def watch(self, told: Told) -> Iterator[Callable[[Sequence[str]], None]]:
        """Yield what adds jobs whose ends `told` is to hear of: here, or from another thread.

        Adding raises what `ending` does; errors that come later are told.
        """
        self._of_this_process()
        at = self._threads
        notes = Notes(at.box, told)

        def add(job_ids: Sequence[str]) -> None:
            notes.add(job_ids)
            self._connection.run(at.box.ask(job_ids), patience=self._patience)
            if at.box:
                self._listen(at)

        try:
            yield add
        finally:
            notes.drop()

    @asynccontextmanager
    async def awatch(self, told: Told) -> AsyncIterator[Callable[[Sequence[str]], Awaitable[None]]]:
        """Do what `watch` does, on the running loop alone, without blocking it."""
        at = self._on_this_loop()
        notes = Notes(at.box, told)

        async def add(job_ids: Sequence[str]) -> None:
            notes.add(job_ids)
            await self._connection.arun(at.box.ask(job_ids), patience=self._patience)
            self._alisten(at)

        try:
            yield add
        finally:
            notes.drop()
            if not at.box:
                await _ended(at)

    # -- threads ------------------------------------------------------------------------------

    def _listen(self, at: _Threads) -> None:
        with at.lock:
            if at.listener is None:
                # Over the same lines to the end, from now on: those that follow a `close` are
                # others' to close.
                at.listener = threading.Thread(
                    target=self._listening,
                    args=[at, self._connection.lines()],
                    name="reuse-queue-results",
                    daemon=True,
                )
                at.listener.start()

    def _listening(self, at: _Threads, lines: Exchange) -> None:
        error: ReuseQueueError = RedisUnavailable("nobody listens for results any more")
        heard = True
        try:
            # Another round when all have been heard of: who waits for one job after the other
            # should not need a thread for each.
            while self._goes_on(at, heard=heard):
                heard = self._connection.run(at.box.listen(), patience=self._patience, lines=lines)
        except ReuseQueueError as reason:
            error = reason
        finally:
            with at.lock:
                if at.listener is threading.current_thread():
                    at.listener = None
                    at.box.fail(error)

    def _goes_on(self, at: _Threads, *, heard: bool) -> bool:
        with at.lock:
            if not at.box and not heard:
                at.listener = None
            return at.listener is not None

    # -- event loops --------------------------------------------------------------------------

    async def _ask(self, at: _Loop) -> None:
        try:
            while at.new:
                new, at.new = list(dict.fromkeys(at.new)), []
                try:
                    await self._connection.arun(at.box.ask(new), patience=self._patience)
                except ReuseQueueError as error:
                    at.box.fail(error, new)
        finally:
            at.asker = None
        self._alisten(at)

    def _alisten(self, at: _Loop) -> None:
        if at.box and at.listener is None:
            at.listener = _apart(self._alistening(at))

    async def _alistening(self, at: _Loop) -> None:
        try:
            while at.box:
                await self._connection.arun(at.box.listen(), patience=self._patience)
        except ReuseQueueError as error:
            at.box.fail(error)
        finally:
            if at.listener is asyncio.current_task():
                at.listener = None

    def _on_this_loop(self) -> _Loop:
        self._of_this_process()
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            for each in [other for other in self._loops if other.is_closed()]:
                self._loops.pop(each, None)
            found = self._loops[loop] = _Loop(Mailbox(self._connection.keys))
        return found

    def _of_this_process(self) -> None:
        if self._pid != os.getpid():
            # Nobody listens here for what the parent's threads and loops await.
            self._begin()


def _apart(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    # For all callers: not in the context of the one who happened to be first.
    return asyncio.get_running_loop().create_task(work, context=contextvars.Context())


async def _ended(at: _Loop) -> None:
    """Let nothing listen any more, where nobody waits: a loop may end now."""
    listener, at.listener = at.listener, None
    if listener is not None:
        listener.cancel()
        await asyncio.wait([listener])
