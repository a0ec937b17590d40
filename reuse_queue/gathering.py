"""gather and agather: the results of jobs of any tasks, all together."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Literal, TypeVar, overload

from reuse_queue.arrivals import Arrival, Arrivals, AsyncArrivals, value_of
from reuse_queue.errors import ResultTimeout, ReuseQueueError
from reuse_queue.handle import JobHandle, seconds

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
_Limit = float | timedelta | None


@overload
def gather(
    one: JobHandle[T1], /, *, return_exceptions: Literal[False] = ..., timeout: _Limit = ...
) -> tuple[T1]: ...


@overload
def gather(
    one: JobHandle[T1],
    two: JobHandle[T2],
    /,
    *,
    return_exceptions: Literal[False] = ...,
    timeout: _Limit = ...,
) -> tuple[T1, T2]: ...


@overload
def gather(
    one: JobHandle[T1],
    two: JobHandle[T2],
    three: JobHandle[T3],
    /,
    *,
    return_exceptions: Literal[False] = ...,
    timeout: _Limit = ...,
) -> tuple[T1, T2, T3]: ...


@overload
def gather(
    one: JobHandle[T1],
    two: JobHandle[T2],
    three: JobHandle[T3],
    four: JobHandle[T4],
    /,
    *,
    return_exceptions: Literal[False] = ...,
    timeout: _Limit = ...,
) -> tuple[T1, T2, T3, T4]: ...


@overload
def gather(
    one: JobHandle[T1],
    two: JobHandle[T2],
    three: JobHandle[T3],
    four: JobHandle[T4],
    five: JobHandle[T5],
    /,
    *,
    return_exceptions: Literal[False] = ...,
    timeout: _Limit = ...,
) -> tuple[T1, T2, T3, T4, T5]: ...


@overload
def gather(
    *handles: JobHandle[T], return_exceptions: Literal[False] = ..., timeout: _Limit = ...
) -> tuple[T, ...]: ...


@overload
def gather(
    *handles: JobHandle[T], return_exceptions: bool, timeout: _Limit = ...
) -> tuple[T | ReuseQueueError, ...]: ...


def gather(
    *handles: JobHandle[Any], return_exceptions: bool = False, timeout: _Limit = None
) -> tuple[Any, ...]:
    """Wait for the ends of jobs, of any tasks and environments; return their results, in order.

    `size, label = gather(measure.enqueue(path), classify.enqueue(path))`. A task that waits lets
    other jobs have its slot meanwhile. Whatever ends it early, the first failure, the timeout or
    an interrupt, cancels those jobs that have not ended.

    Args:
        handles: of the jobs; for a list of them, `gather(*handles)`.
        return_exceptions: return the TaskFailed, JobCanceled or JobNotFound of a job in the place
            of its result, and let the others go on.
        timeout: seconds (or a timedelta) for all of them together.

    Raises:
        TaskFailed, JobCanceled, JobNotFound: the first of them that became of a job.
        ResultTimeout: `timeout` is over.
        RedisUnavailable: Redis cannot be reached.
        TypeError: an argument is no handle, or `timeout` no number.
        ValueError: `timeout` is negative or NaN.
    """
    together = _Together("gather", handles, timeout, failures=return_exceptions)
    with Arrivals[Any]() as arrivals:
        arrivals.add(together.handles)
        while together.left:
            together.take(arrivals.take(together.left_s()))
    return together.results()


@overload
async def agather(
    one: JobHandle[T1], /, *, return_exceptions: Literal[False] = ..., timeout: _Limit = ...
) -> tuple[T1]: ...


@overload
async def agather(
    one: JobHandle[T1],
    two: JobHandle[T2],
    /,
    *,
    return_exceptions: Literal[False] = ...,
    timeout: _Limit = ...,
) -> tuple[T1, T2]: ...


@overload
async def agather(
    one: JobHandle[T1],
    two: JobHandle[T2],
    three: JobHandle[T3],
    /,
    *,
    return_exceptions: Literal[False] = ...,
    timeout: _Limit = ...,
) -> tuple[T1, T2, T3]: ...


@overload
async def agather(
    one: JobHandle[T1],
    two: JobHandle[T2],
    three: JobHandle[T3],
    four: JobHandle[T4],
    /,
    *,
    return_exceptions: Literal[False] = ...,
    timeout: _Limit = ...,
) -> tuple[T1, T2, T3, T4]: ...


@overload
async def agather(
    one: JobHandle[T1],
    two: JobHandle[T2],
    three: JobHandle[T3],
    four: JobHandle[T4],
    five: JobHandle[T5],
    /,
    *,
    return_exceptions: Literal[False] = ...,
    timeout: _Limit = ...,
) -> tuple[T1, T2, T3, T4, T5]: ...


@overload
async def agather(
    *handles: JobHandle[T], return_exceptions: Literal[False] = ..., timeout: _Limit = ...
) -> tuple[T, ...]: ...


@overload
async def agather(
    *handles: JobHandle[T], return_exceptions: bool, timeout: _Limit = ...
) -> tuple[T | ReuseQueueError, ...]: ...


async def agather(
    *handles: JobHandle[Any], return_exceptions: bool = False, timeout: _Limit = None
) -> tuple[Any, ...]:
    """Do what `gather` does, without blocking the loop; who is canceled cancels the jobs."""
    together = _Together("agather", handles, timeout, failures=return_exceptions)
    async with AsyncArrivals[Any]() as arrivals:
        await arrivals.add(together.handles)
        while together.left:
            together.take(await arrivals.take(together.left_s()))
    return together.results()


class _Together:
    """What both twins keep: which outcomes have come, and the time."""

    def __init__(
        self, name: str, handles: tuple[Any, ...], timeout: _Limit, *, failures: bool
    ) -> None:
        _check(name, handles)
        self.handles: tuple[JobHandle[Any], ...] = handles
        self.left = len(set(map(_key, handles)))
        """How many have not come yet."""
        self._values: dict[object, Any] = {}
        self._failures = failures
        self._timeout_s = seconds(timeout)
        self._began = time.monotonic()

    def left_s(self) -> float | None:
        if self._timeout_s is None:
            return None
        return max(0.0, self._began + self._timeout_s - time.monotonic())

    def take(self, arrival: Arrival[Any] | None) -> None:
        if arrival is None:
            raise ResultTimeout(
                f"{self.left} of {len(self.handles)} jobs had not ended within "
                f"{self._timeout_s:g} s; they are canceled"
            )
        handle, outcome = arrival
        self._values[_key(handle)] = value_of(outcome, failures=self._failures)
        self.left -= 1

    def results(self) -> tuple[Any, ...]:
        return tuple(self._values[_key(each)] for each in self.handles)


def _key(handle: JobHandle[Any]) -> object:
    # Two environments' handles may be of one job.
    return handle.home.jobs, handle.id


def _check(name: str, handles: tuple[object, ...]) -> None:
    wrong = [(at, each) for at, each in enumerate(handles, 1) if not isinstance(each, JobHandle)]
    if not wrong:
        return
    place, found = wrong[0]
    hint = f"argument {place} is a {type(found).__name__}"
    if inspect.iscoroutine(found):
        hint += "; await it first: the handle is what `await task.aenqueue(…)` returns"
    elif isinstance(found, Iterable):
        hint += f"; write {name}(*handles)"
    for _, each in wrong:
        if inspect.iscoroutine(each):
            each.close()  # nobody will await it
    raise TypeError(f"{name} takes handles of jobs, and {hint}")
