"""Call: a claimed job, ready to run, and what ends it from outside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from reuse_queue.board import Board, Overdue
from reuse_queue.context import Place
from reuse_queue.job import ClaimedJob
from reuse_queue.lineage import Lineage


class Order(Enum):
    """Why a running call is stopped from outside."""

    CANCEL = "cancel"
    HALT = "halt"
    """Cancel it by rq's stop-job: it is kept among the failed."""
    GIVE_BACK = "give back"


ORDERED = {Order.CANCEL: Overdue.CANCELED, Order.HALT: Overdue.HALTED}
"""What it means on the board when a call does not obey an order that ends its job."""


class Hold(Place, Protocol):
    """A call's hold on a slot, until it ends."""

    def close(self) -> None:
        """Have a slot again, if it has none, and keep it for what is done at the call's end."""


@dataclass(slots=True, eq=False)
class Call:
    """A claimed job, ready to run."""

    job: ClaimedJob
    function: Callable[..., Any]
    is_async: bool
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    name: str = ""
    """The task's, for messages."""
    final: bool = False
    """What it raises is no reason to try again."""
    returned: object = None
    error: BaseException | None = None
    """What it raised; kept only for a callback."""
    order: Order | None = None
    slot: int = -1
    """Where the board shows it while it runs; -1 before, and while it has given its slot up."""
    overdue: Limit | None = None
    """When the board shows that it should have ended; None: never."""
    watched: bool = False
    """It is looked at when it should have ended, should it wait for another job then."""
    lineage: Lineage = field(default_factory=Lineage)
    """What it has called itself."""
    place: Hold | None = None
    """Its hold on a slot; None: it keeps that to its end."""
    begun: bool = False
    """It was called, if on the loop."""
    running: asyncio.Task[None] | None = None
    expected: int = -1
    """Where the board shows that it has not begun; -1 where it doesn't, as of most calls."""
    ends_by: float | None = None
    """When the job's deadline passes, on CLOCK_MONOTONIC; None: it has none."""

    def begin(self, board: Board) -> None:
        """Show that it may have begun from now on."""
        if self.expected >= 0:
            board.begin(self.expected)
            self.expected = -1

    def limit(self) -> Limit | None:
        """Return what ends it first if it starts now; None: nothing does."""
        timeout, ends_by = self.job.timeout, self.ends_by
        if timeout is None:
            return None if ends_by is None else Limit(ends_by, Overdue.DEADLINE)
        stops_at = time.monotonic() + timeout.total_seconds()
        if ends_by is not None and ends_by < stops_at:
            return Limit(ends_by, Overdue.DEADLINE)
        return Limit(stops_at, Overdue.TIMEOUT)

    def show(self, board: Board) -> None:
        """Show on the board that it runs, and until when it may."""
        limit, execution = self.overdue, self.job.execution
        if self.slot >= 0:
            if limit is not None:
                board.move(self.slot, execution, limit.at, limit.meaning)
        elif limit is None:
            self.slot = board.put(execution, None)
        else:
            self.slot = board.put(execution, limit.at, limit.meaning)

    def hide(self, board: Board) -> None:
        """Show it no longer."""
        if self.slot >= 0:
            board.drop(self.slot)
            self.slot = -1


@dataclass(frozen=True, slots=True)
class Limit:
    """When a call is to end, and why."""

    at: float
    """On CLOCK_MONOTONIC."""
    meaning: Overdue

    @property
    def left_s(self) -> float:
        """How long that is from now; negative once it is over."""
        return self.at - time.monotonic()
