"""map: a task over any number of inputs, so many jobs at a time, the results as they come."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Iterator, Sized
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from reuse_queue.arrivals import Arrivals, AsyncArrivals, value_of
from reuse_queue.errors import ReuseQueueError
from reuse_queue.flight import AsTheyCome, Course, InOrder, MapTerms
from reuse_queue.handle import JobHandle, seconds

if TYPE_CHECKING:
    from reuse_queue.broker.connection import Step

R = TypeVar("R")
_Limit = float | timedelta | None


class Mappable(Generic[R]):
    """What a task can do with many inputs."""

    environment: Any

    if TYPE_CHECKING:

        def _call_with(self, given: Any) -> Any: ...

        def _enqueue_after(self, before: int, calls: Iterable[Any]) -> Step[list[JobHandle[R]]]:
            """Write a job for each call, of which so many have been written before."""

    @overload
    def map(
        self,
        inputs: Iterable[Any],
        /,
        *,
        max_in_flight: int = ...,
        timeout: _Limit = ...,
        return_exceptions: Literal[False] = ...,
        progress: bool = ...,
        as_completed: bool = ...,
    ) -> Generator[R, None, None]: ...

    @overload
    def map(
        self,
        inputs: Iterable[Any],
        /,
        *,
        max_in_flight: int = ...,
        timeout: _Limit = ...,
        return_exceptions: bool,
        progress: bool = ...,
        as_completed: bool = ...,
    ) -> Generator[R | ReuseQueueError, None, None]: ...

    def map(
        self,
        inputs: Iterable[Any],
        /,
        *,
        max_in_flight: int = 100,
        timeout: _Limit = None,
        return_exceptions: bool = False,
        progress: bool = False,
        as_completed: bool = False,
    ) -> Generator[Any, None, None]:
        """Yield the task's results for many inputs, in their order or as they come.

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
            as_completed: yield each result as soon as it is there, whatever its place.

        Raises:
            ValueError: `max_in_flight` is not a whole number over 0, or `timeout` negative or NaN.
            TypeError: `inputs` is asynchronous, or `timeout` no number.
            ResultTimeout: `timeout` is over.
            TaskFailed, JobCanceled and others: what `enqueue_many` and a handle's `result` raise.
        """
        terms = MapTerms(
            max_in_flight=max_in_flight,
            timeout=seconds(timeout),
            return_exceptions=return_exceptions,
            progress=progress,
            total=len(inputs) if isinstance(inputs, Sized) else None,
            as_completed=as_completed,
        )
        return _mapped(self, map(self._call_with, _inputs("map", inputs)), terms)

    @overload
    def amap(
        self,
        inputs: Iterable[Any],
        /,
        *,
        max_in_flight: int = ...,
        timeout: _Limit = ...,
        return_exceptions: Literal[False] = ...,
        progress: bool = ...,
        as_completed: bool = ...,
    ) -> AsyncResults[R]: ...

    @overload
    def amap(
        self,
        inputs: Iterable[Any],
        /,
        *,
        max_in_flight: int = ...,
        timeout: _Limit = ...,
        return_exceptions: bool,
        progress: bool = ...,
        as_completed: bool = ...,
    ) -> AsyncResults[R | ReuseQueueError]: ...

    def amap(
        self,
        inputs: Iterable[Any],
        /,
        *,
        max_in_flight: int = 100,
        timeout: _Limit = None,
        return_exceptions: bool = False,
        progress: bool = False,
        as_completed: bool = False,
    ) -> AsyncResults[Any]:
        """Do what `map` does, without blocking the loop.

        `async for label in classify.amap(paths): …`, or `labels = await classify.amap(paths)`.
        """
        terms = MapTerms(
            max_in_flight=max_in_flight,
            timeout=seconds(timeout),
            return_exceptions=return_exceptions,
            progress=progress,
            total=len(inputs) if isinstance(inputs, Sized) else None,
            as_completed=as_completed,
        )
        return AsyncResults(self, map(self._call_with, _inputs("amap", inputs)), terms)


def _inputs(name: str, inputs: Iterable[R]) -> Iterable[R]:
    if isinstance(inputs, AsyncIterable) and not isinstance(inputs, Iterable):
        raise TypeError(
            f"{name} takes what a `for` can read, not an {type(inputs).__name__}: give it a list, "
            "[each async for each in …]"
        )
    return inputs


def _flight(_: Mappable[R], terms: MapTerms) -> InOrder[R] | AsTheyCome[R]:
    return AsTheyCome() if terms.as_completed else InOrder()


def _mapped(task: Mappable[R], calls: Iterator[Any], terms: MapTerms) -> Generator[R, None, None]:
    course, flying = Course(calls, terms), _flight(task, terms)
    with _shown(terms) as advance, Arrivals[R]() as arrivals:
        while True:
            if due := course.due(len(flying)):
                step = task._enqueue_after(course.sent, due)  # noqa: SLF001  # map is its method
                sent = task.environment.run(step)
                course.sent += len(sent)
                flying.sent(sent)
                arrivals.add(sent)
            if not flying:
                return
            while not flying.ready():
                flying.came(*course.in_time(arrivals.take(course.left_s())))
            advance()
            yield value_of(flying.take(), failures=terms.return_exceptions)


class AsyncResults(Generic[R]):
    """The results of `amap`: `async for` takes one after the other, `await` all as a list.

    Nothing is enqueued before, and the results can be taken once. Whoever leaves an `async for`
    early, and does not want to wait for the garbage collector to cancel what is in flight, closes
    it: `contextlib.aclosing(aiter(…))`.
    """

    def __init__(self, task: Mappable[R], calls: Iterator[Any], terms: MapTerms) -> None:
        self._task = task
        self._calls = calls
        self._terms = terms
        self._begun = False

    def __aiter__(self) -> AsyncGenerator[R, None]:
        """Begin.

        Raises:
            RuntimeError: that has been done.
        """
        if self._begun:
            raise RuntimeError(
                "the results of this amap are being taken, or have been: call amap anew, or keep "
                "them in a list, `results = await task.amap(…)`"
            )
        self._begun = True
        return _amapped(self._task, self._calls, self._terms)

    def __await__(self) -> Generator[Any, None, list[R]]:
        """Return all results."""
        return self._all().__await__()

    async def _all(self) -> list[R]:
        return [each async for each in self]


async def _amapped(
    task: Mappable[R], calls: Iterator[Any], terms: MapTerms
) -> AsyncGenerator[R, None]:
    course, flying = Course(calls, terms), _flight(task, terms)
    with _shown(terms) as advance:
        async with AsyncArrivals[R]() as arrivals:
            while True:
                if due := course.due(len(flying)):
                    step = task._enqueue_after(course.sent, due)  # noqa: SLF001  # as in map
                    sent = await task.environment.arun(step)
                    course.sent += len(sent)
                    flying.sent(sent)
                    await arrivals.add(sent)
                if not flying:
                    return
                while not flying.ready():
                    flying.came(*course.in_time(await arrivals.take(course.left_s())))
                advance()
                yield value_of(flying.take(), failures=terms.return_exceptions)


@contextlib.contextmanager
def _shown(terms: MapTerms) -> Iterator[Any]:
    """Show how far it is, on stderr and where asked for; yield what to call at each result."""
    if not terms.progress:
        yield lambda: None
        return
    # Only who looks at it pays for it.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import MofNCompleteColumn, Progress  # noqa: PLC0415

    # Of a generator's results nobody knows how many there will be, but how many there were.
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        row = bar.add_task("results", total=terms.total)
        yield lambda: bar.advance(row)
