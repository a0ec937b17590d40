"""Flight: the jobs of a map that are under way, and which come next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

from reuse_queue.arrivals import Arrival, Outcome
from reuse_queue.errors import ResultTimeout
from reuse_queue.handle import JobHandle

R = TypeVar("R")


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
class Course:
    """What both twins keep: the calls that are left, and the time."""

    calls: Iterator[Any]
    terms: MapTerms
    sent: int = 0
    """How many calls have been enqueued."""
    began: float = field(default_factory=time.monotonic)

    def due(self, in_flight: int) -> list[Any]:
        """Return the calls to be enqueued now: some at a time, to save round trips."""
        most = self.terms.max_in_flight
        return list(islice(self.calls, most - in_flight if in_flight <= most * 3 // 4 else 0))

    def left_s(self) -> float | None:
        """Return the seconds that are left of the timeout, if there is one."""
        limit = self.terms.timeout
        return None if limit is None else max(0.0, self.began + limit - time.monotonic())

    def in_time(self, arrival: Arrival[R] | None) -> Arrival[R]:
        """Return what has come.

        Raises:
            ResultTimeout: nothing has.
        """
        if arrival is None:
            raise ResultTimeout(
                f"the results had not all come within {self.terms.timeout:g} s; the jobs in "
                "flight are canceled"
            )
        return arrival


class InOrder(Generic[R]):
    """The jobs in flight, whose outcomes are taken in the order of their calls."""

    def __init__(self) -> None:
        self._order: deque[JobHandle[R]] = deque()
        self._came: dict[JobHandle[R], Outcome[R]] = {}

    def __len__(self) -> int:
        """Return how many of their results have not been taken yet."""
        return len(self._order)

    def sent(self, handles: Iterable[JobHandle[R]]) -> None:
        """Take these as enqueued."""
        self._order.extend(handles)

    def came(self, handle: JobHandle[R], outcome: Outcome[R]) -> None:
        """Keep what became of a job."""
        self._came[handle] = outcome

    def ready(self) -> bool:
        """Return whether an outcome can be taken."""
        return self._order[0] in self._came

    def take(self) -> Outcome[R]:
        """Return the next outcome, and forget it."""
        return self._came.pop(self._order.popleft())


class AsTheyCome(Generic[R]):
    """The jobs in flight, whose outcomes are taken as they come."""

    def __init__(self) -> None:
        self._count = 0
        self._came: deque[Outcome[R]] = deque()

    def __len__(self) -> int:
        """Return how many of their results have not been taken yet."""
        return self._count

    def sent(self, handles: Sequence[JobHandle[R]]) -> None:
        """Take these as enqueued."""
        self._count += len(handles)

    def came(self, _: JobHandle[R], outcome: Outcome[R]) -> None:
        """Keep what became of a job."""
        self._came.append(outcome)

    def ready(self) -> bool:
        """Return whether an outcome can be taken."""
        return bool(self._came)

    def take(self) -> Outcome[R]:
        """Return the next outcome, and forget it."""
        self._count -= 1
        return self._came.popleft()
