"""map: a task over any number of inputs, so many jobs at a time, the results as they come."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reuse_queue.arrivals import Arrival, Arrivals, AsyncArrivals, Outcome, value_of
from reuse_queue.errors import ResultTimeout
from reuse_queue.handle import JobHandle, seconds

R = TypeVar("R")


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
        as_completed: bool = False,
    ) -> Generator[R, None, None]:
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
            as_completed=as_completed,
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
    as_completed: bool

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

    def in_time(self, arrival: Arrival[R] | None) -> Arrival[R]:
        if arrival is None:
            raise ResultTimeout(
                f"the results had not all come within {self.terms.timeout:g} s; the jobs in "
                "flight are canceled"
            )
        return arrival


class _InOrder(Generic[R]):
    """The jobs in flight, whose outcomes are taken in the order of their calls."""

    def __init__(self) -> None:
        self._order: deque[JobHandle[R]] = deque()
        self._came: dict[JobHandle[R], Outcome[R]] = {}

    def __len__(self) -> int:
        return len(self._order)

    def sent(self, handles: Iterable[JobHandle[R]]) -> None:
        self._order.extend(handles)

    def came(self, handle: JobHandle[R], outcome: Outcome[R]) -> None:
        self._came[handle] = outcome

    def ready(self) -> bool:
        return self._order[0] in self._came

    def take(self) -> Outcome[R]:
        return self._came.pop(self._order.popleft())


class _AsTheyCome(Generic[R]):
    """The jobs in flight, whose outcomes are taken as they come."""

    def __init__(self) -> None:
        self._count = 0
        self._came: deque[Outcome[R]] = deque()

    def __len__(self) -> int:
        return self._count

    def sent(self, handles: Sequence[JobHandle[R]]) -> None:
        self._count += len(handles)

    def came(self, _: JobHandle[R], outcome: Outcome[R]) -> None:
        self._came.append(outcome)

    def ready(self) -> bool:
        return bool(self._came)

    def take(self) -> Outcome[R]:
        self._count -= 1
        return self._came.popleft()


def _flight(_: Mappable[R], terms: MapTerms) -> _InOrder[R] | _AsTheyCome[R]:
    return _AsTheyCome() if terms.as_completed else _InOrder()


def _mapped(task: Mappable[R], calls: Iterator[Any], terms: MapTerms) -> Generator[R, None, None]:
    course, flying = _Course(calls, terms), _flight(task, terms)
    with _shown(terms) as advance, Arrivals[R]() as arrivals:
        while True:
            if due := course.due(len(flying)):
                sent = task.enqueue_many(due)
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
    course, flying = _Course(calls, terms), _flight(task, terms)
    with _shown(terms) as advance:
        async with AsyncArrivals[R]() as arrivals:
            while True:
                if due := course.due(len(flying)):
                    sent = await task.aenqueue_many(due)
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
