"""map: a task over any number of inputs, so many jobs at a time, the results as they come."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from reuse_queue.errors import (
    JobCanceled,
    JobNotFound,
    RedisUnavailable,
    ResultTimeout,
    ReuseQueueError,
    TaskFailed,
)
from reuse_queue.handle import JobHandle, seconds

if TYPE_CHECKING:
    import asyncio

R = TypeVar("R")
_Outcome: TypeAlias = "tuple[R | None, ReuseQueueError | None]"

# What became of one job, and not of Redis or of the caller.
_FAILURES = (TaskFailed, JobCanceled, JobNotFound)


class Mappable(Generic[R]):
    """What a task can do with many inputs."""

    environment: Any

    if TYPE_CHECKING:

        def enqueue_many(self, calls: Iterable[Any]) -> list[JobHandle[R]]:
            """Write a job for each call."""

        async def aenqueue_many(self, calls: Iterable[Any]) -> list[JobHandle[R]]:
            """Do the same without blocking the loop."""

        def _call_with(self, given: Any) -> Any: ...

    def map(
        self,
        inputs: Iterable[Any],
        /,
        *,
        max_in_flight: int = 100,
        timeout: float | timedelta | None = None,
        return_exceptions: bool = False,
        progress: bool = False,
    ) -> Generator[R, None, None]:
        """Yield the task's results for many inputs, in their order, as they come.

        `for label in classify.map(paths): …`. Inputs are read, and jobs enqueued, only as results
        are taken: a generator of millions needs no more memory than a list of a hundred. When the
        iteration ends early, by an error, a `break` or a `close`, the jobs in flight are canceled.

        Args:
            inputs: each the task's only argument, or a `task.call(…)`.
            max_in_flight: jobs that are enqueued and whose results have not been taken yet.
            timeout: seconds (or a timedelta) for all of them together, from the first `next` on.
            return_exceptions: yield the TaskFailed, JobCanceled or JobNotFound of a job in the
                place of its result, instead of raising the first one.
            progress: show on stderr how far it is.

        Raises:
            ValueError: `max_in_flight` is not a whole number over 0.
            ResultTimeout: `timeout` is over.
            TaskFailed, JobCanceled and others: what `enqueue_many` and a handle's `result` raise.
        """
        terms = MapTerms(
            max_in_flight=max_in_flight,
            timeout=seconds(timeout),
            return_exceptions=return_exceptions,
            progress=progress,
            total=len(inputs) if isinstance(inputs, Sized) else None,
        )
        return _mapped(self, map(self._call_with, inputs), terms)

    def amap(
        self,
        inputs: Iterable[Any],
        /,
        *,
        max_in_flight: int = 100,
        timeout: float | timedelta | None = None,
        return_exceptions: bool = False,
        progress: bool = False,
        as_completed: bool = False,
    ) -> AsyncResults[R]:
        """Do what `map` does, without blocking the loop.

        `async for label in classify.amap(paths): …`, or `labels = await classify.amap(paths)`.
        With `as_completed`, each result comes as soon as it is there, whatever its place.
        """
        terms = MapTerms(
            max_in_flight=max_in_flight,
            timeout=seconds(timeout),
            return_exceptions=return_exceptions,
            progress=progress,
            total=len(inputs) if isinstance(inputs, Sized) else None,
            as_completed=as_completed,
        )
        return AsyncResults(self, map(self._call_with, inputs), terms)


@dataclass(frozen=True, kw_only=True, slots=True)
class MapTerms:
    """How a map goes about it.

    Raises:
        ValueError: `max_in_flight` is not a whole number over 0.
    """

    max_in_flight: int
    timeout: float | None
    return_exceptions: bool
    progress: bool
    total: int | None
    """How many inputs there are, where that is known."""
    as_completed: bool = False

    def __post_init__(self) -> None:
        most = self.max_in_flight
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise ValueError(f"max_in_flight must be a whole number over 0, got {most!r}")


@dataclass(slots=True)
class _Course:
    """What both twins keep: the calls that are left, and the time."""

    calls: Iterator[Any]
    terms: MapTerms
    began: float = field(default_factory=time.monotonic)

    def due(self, in_flight: int) -> list[Any]:
        """Return the calls to be enqueued now: some at a time, to save round trips."""
        most = self.terms.max_in_flight
        return list(islice(self.calls, most - in_flight if in_flight <= most * 3 // 4 else 0))

    def left_s(self) -> float | None:
        limit = self.terms.timeout
        return None if limit is None else max(0.0, self.began + limit - time.monotonic())

    def too_late(self) -> ResultTimeout:
        return ResultTimeout(
            f"the results had not all come within {self.terms.timeout:g} s; the jobs in flight "
            "are canceled"
        )

    def value(self, outcome: _Outcome[R]) -> Any:
        value, error = outcome
        if error is None:
            return value
        if self.terms.return_exceptions and isinstance(error, _FAILURES):
            return error
        raise error


def _mapped(task: Mappable[R], calls: Iterator[Any], terms: MapTerms) -> Generator[R, None, None]:
    """Yield the results in the order of the calls."""
    course, flying = _Course(calls, terms), deque[JobHandle[R]]()
    try:
        with _shown(terms) as advance:
            while True:
                flying.extend(task.enqueue_many(course.due(len(flying))))
                if not flying:
                    return
                outcome = _outcome(flying[0], course)
                flying.popleft()
                advance()
                yield course.value(outcome)
    finally:
        if flying:
            with contextlib.suppress(RedisUnavailable):
                task.environment.run(task.environment.jobs.cancel([each.id for each in flying]))


def _outcome(handle: JobHandle[R], course: _Course) -> _Outcome[R]:
    try:
        return handle.result(timeout=course.left_s()), None
    except ResultTimeout as error:
        raise course.too_late() from error
    except _FAILURES as error:
        return None, error


class AsyncResults(Generic[R]):
    """The results of `amap`: `async for` takes one after the other, `await` all as a list.

    Nothing is enqueued before. Whoever leaves an `async for` early, and does not want to wait for
    the garbage collector to cancel what is in flight, closes it: `contextlib.aclosing(aiter(…))`.
    """

    def __init__(self, task: Mappable[R], calls: Iterator[Any], terms: MapTerms) -> None:
        self._task = task
        self._calls = calls
        self._terms = terms

    def __aiter__(self) -> AsyncGenerator[R, None]:
        """Begin."""
        return _amapped(self._task, self._calls, self._terms)

    def __await__(self) -> Generator[Any, None, list[R]]:
        """Return all results."""
        return self._all().__await__()

    async def _all(self) -> list[R]:
        return [each async for each in self]


async def _amapped(
    task: Mappable[R], calls: Iterator[Any], terms: MapTerms
) -> AsyncGenerator[R, None]:
    # Whoever runs this has imported it; who only imports an application need not pay for it.
    import asyncio  # noqa: PLC0415

    course = _Course(calls, terms)
    flying: dict[asyncio.Task[_Outcome[R]], JobHandle[R]] = {}
    try:
        with _shown(terms) as advance:
            while True:
                for handle in await task.aenqueue_many(course.due(len(flying))):
                    flying[asyncio.ensure_future(_aoutcome(handle))] = handle
                if not flying:
                    return
                for each in await _ended(list(flying), course):
                    del flying[each]
                    advance()
                    yield course.value(each.result())
    finally:
        await _abandon(task, flying)


async def _ended(
    flying: Sequence[asyncio.Task[_Outcome[R]]], course: _Course
) -> list[asyncio.Task[_Outcome[R]]]:
    """Return those to be taken next, in the order of their calls."""
    import asyncio  # noqa: PLC0415

    awaited = flying if course.terms.as_completed else flying[:1]
    done, _ = await asyncio.wait(
        awaited, timeout=course.left_s(), return_when=asyncio.FIRST_COMPLETED
    )
    if not done:
        raise course.too_late()
    return [each for each in awaited if each in done]


async def _aoutcome(handle: JobHandle[R]) -> _Outcome[R]:
    try:
        return await handle.aresult(), None
    except ReuseQueueError as error:
        return None, error


async def _abandon(
    task: Mappable[R], flying: dict[asyncio.Task[_Outcome[R]], JobHandle[R]]
) -> None:
    if not flying:
        return
    import asyncio  # noqa: PLC0415

    for each in flying:
        each.cancel()
    await asyncio.wait(flying)
    with contextlib.suppress(RedisUnavailable):
        ids = [handle.id for handle in flying.values()]
        await task.environment.arun(task.environment.jobs.cancel(ids))


@contextlib.contextmanager
def _shown(terms: MapTerms) -> Iterator[Any]:
    """Show how far it is, on stderr and where asked for; yield what to call at each result."""
    if not terms.progress:
        yield lambda: None
        return
    # Only who looks at it pays for it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(*Progress.get_default_columns(), console=Console(stderr=True)) as bar:
        row = bar.add_task("results", total=terms.total)
        yield lambda: bar.advance(row)
