"""Arrivals: what becomes of many jobs, one after the other, as they end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar

from reuse_queue.context import agiving_way, giving_way, refuse_to_block
from reuse_queue.errors import (
    JobCanceled,
    JobNotFound,
    RedisUnavailable,
    ReuseQueueError,
    TaskFailed,
)
from reuse_queue.handle import Home, JobHandle, Jobs

if TYPE_CHECKING:
    import asyncio

    from reuse_queue.job import Ending

R = TypeVar("R")
Outcome: TypeAlias = "tuple[R | None, ReuseQueueError | None]"
"""What a job returned, or what became of it."""
_Known: TypeAlias = "Ending | ReuseQueueError"

Arrival: TypeAlias = "tuple[JobHandle[R], Outcome[R]]"

# What became of a job, and not of Redis or of the caller.
_FAILURES = (TaskFailed, JobCanceled, JobNotFound)


class _Group(Generic[R]):
    """The jobs that are asked about in one place, until their outcomes are taken."""

    add: Callable[[Sequence[str]], Any]
    """Waits for some more."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.handles: dict[str, JobHandle[R]] = {}

    def new(self, handles: Iterable[JobHandle[R]]) -> list[str]:
        """Note those that are not there yet; return their ids."""
        these = {each.id: each for each in handles if each.id not in self.handles}
        self.handles.update(these)
        return list(these)

    def ended(self, job_id: str, known: _Known) -> Ending:
        """Forget a job that has ended; raise why nothing is known of it, where that is so."""
        if isinstance(known, ReuseQueueError):
            raise known
        del self.handles[job_id]
        return known


class Arrivals(Generic[R]):
    """The outcomes of jobs of any environments, each as soon as it is there; for a `with` block.

    The block's end cancels those jobs whose outcomes have not been taken.
    """

    def __init__(self) -> None:
        # Whoever runs this has imported it; who only imports an application need not pay for it.
        from queue import SimpleQueue  # noqa: PLC0415

        self._came: SimpleQueue[tuple[_Group[R], str, _Known]] = SimpleQueue()
        self._groups: dict[Jobs, _Group[R]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            WouldBlock: the calling code is a job's coroutine, which has to await.
        """
        refuse_to_block()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel what is left, and wait for nothing any more."""
        with self._stack:
            self._cancel()

    def add(self, handles: Iterable[JobHandle[R]]) -> None:
        """Wait for these, too.

        Raises:
            RedisUnavailable, RedisRefused: it cannot be asked.
        """
        for home, some in _by_home(handles):
            group = self._groups.get(home.jobs)
            if group is None:
                group = self._groups[home.jobs] = _Group(home)
                watch = home.jobs.watch(partial(self._tell, group))
                group.add = self._stack.enter_context(watch)
            group.add(group.new(some))

    def take(self, timeout_s: float | None) -> Arrival[R] | None:
        """Return the next outcome; where none comes in time, cancel all jobs and return None.

        A task that waits for it lets other jobs have its slot meanwhile.
        """
        if not self._came.empty():
            return self._taken(0)
        with giving_way():
            taken = self._taken(timeout_s)
            if taken is None:
                # Now, while others have the slot: it may be these that do.
                self._cancel()
        return taken

    def _taken(self, timeout_s: float | None) -> Arrival[R] | None:
        from queue import Empty  # noqa: PLC0415

        try:
            group, job_id, known = self._came.get(timeout=timeout_s)
        except Empty:
            return None
        handle = group.handles[job_id]
        try:
            ending = group.ended(job_id, known)
            return handle, (handle.result_of(ending), None)
        except ReuseQueueError as error:
            return handle, (None, error)

    def _tell(self, group: _Group[R], job_id: str, known: _Known) -> None:
        self._came.put((group, job_id, known))

    def _cancel(self) -> None:
        for group in self._groups.values():
            ids = list(group.handles)
            group.handles.clear()
            with suppress(RedisUnavailable):
                group.home.run(group.home.jobs.cancel(ids))


class AsyncArrivals(Generic[R]):
    """The twin of Arrivals that does not block the loop."""

    def __init__(self) -> None:
        self._came: deque[tuple[_Group[R], str, _Known]] = deque()
        self._more: asyncio.Future[None] | None = None
        self._groups: dict[Jobs, _Group[R]] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do what Arrivals does."""
        async with self._stack:
            await self._cancel()

    async def add(self, handles: Iterable[JobHandle[R]]) -> None:
        """Do what Arrivals does."""
        for home, some in _by_home(handles):
            group = self._groups.get(home.jobs)
            if group is None:
                group = self._groups[home.jobs] = _Group(home)
                watch = home.jobs.awatch(partial(self._tell, group))
                group.add = await self._stack.enter_async_context(watch)
            await group.add(group.new(some))

    async def take(self, timeout_s: float | None) -> Arrival[R] | None:
        """Do what Arrivals does."""
        if not self._came:
            async with agiving_way():
                await self._one_more(timeout_s)
                if not self._came:
                    await self._cancel()
                    return None
        group, job_id, known = self._came.popleft()
        handle = group.handles[job_id]
        try:
            ending = group.ended(job_id, known)
            return handle, (await handle.aresult_of(ending), None)
        except ReuseQueueError as error:
            return handle, (None, error)

    async def _one_more(self, timeout_s: float | None) -> None:
        import asyncio  # noqa: PLC0415

        self._more = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait([self._more], timeout=timeout_s)
        finally:
            self._more = None

    def _tell(self, group: _Group[R], job_id: str, known: _Known) -> None:
        self._came.append((group, job_id, known))
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def _cancel(self) -> None:
        for group in self._groups.values():
            ids = list(group.handles)
            group.handles.clear()
            with suppress(RedisUnavailable):
                await group.home.arun(group.home.jobs.cancel(ids))


def value_of(outcome: Outcome[R], *, failures: bool) -> Any:
    """Return what a job returned, or raise what became of it; `failures`: return that, too."""
    value, error = outcome
    if error is None:
        return value
    if failures and isinstance(error, _FAILURES):
        return error
    raise error


def _by_home(handles: Iterable[JobHandle[R]]) -> list[tuple[Home, list[JobHandle[R]]]]:
    """Return the handles by where their jobs are asked about: environments may share that."""
    found: dict[Jobs, tuple[Home, list[JobHandle[R]]]] = {}
    for handle in handles:
        found.setdefault(handle.home.jobs, (handle.home, []))[1].append(handle)
    return list(found.values())
