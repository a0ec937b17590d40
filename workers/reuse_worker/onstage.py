"""Onstage: shows on the board whose code the loop is running at each moment."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

from reuse_queue.board import Board

T = TypeVar("T")


class Shown(Protocol):
    """What the board shows, or not at the moment."""

    slot: int
    """Where; -1 for nowhere."""


@types.coroutine
def onstage(
    coroutine: Coroutine[Any, Any, T], board: Board, shown: Shown
) -> Generator[Any, Any, T]:
    """Return what a coroutine returns; while it runs, and not while it waits, the board says so.

    Whoever takes the process along (`os._exit`, a segfault in an extension) does so while it
    runs: its agent then knows whom to charge, of all those that were under way. Code that the
    coroutine lets others run for it (its own tasks, threads) is not seen.
    """
    step: Callable[[Any], Any] = coroutine.send
    value: Any = None
    while True:
        board.enter(shown.slot)
        try:
            awaited = step(value)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # the coroutine's own
        finally:
            board.leave()
        try:
            step, value = coroutine.send, (yield awaited)
        except BaseException as error:  # noqa: BLE001  # cancellations too: the coroutine's to take
            step, value = coroutine.throw, error
