"""Away: lets calls that wait for other jobs give up their slots, and go on in one again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

import structlog

from reuse_queue.board import Board
from reuse_worker.call import Call
from reuse_worker.calls import Calls
from reuse_worker.places import CoroutinePlace, ThreadPlace
from reuse_worker.sync_thread import SyncThread

log = structlog.get_logger()
_LONG_S = 30.0
_Entry: TypeAlias = "tuple[Call, Callable[[], None]]"


class Away:
    """Who has left a slot, and who, in which order, wants one again; all on the loop.

    Args:
        calls: what the replica holds.
        thread: where plain functions run.
        board: shows what runs.
        fill: puts free slots to use.
        changed: called when a slot was left.
    """

    def __init__(
        self,
        calls: Calls,
        thread: SyncThread,
        board: Board,
        fill: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._calls = calls
        self._thread = thread
        self._board = board
        self._fill = fill
        self._changed = changed
        self._returning: deque[_Entry] = deque()
        self._watched = False

    @property
    def returning(self) -> bool:
        """Whether somebody wants a slot again."""
        return bool(self._returning)

    def place(self, call: Call) -> CoroutinePlace | ThreadPlace:
        """Return what a call that starts gives its slot up by."""
        if call.is_async:
            return CoroutinePlace(call, self)
        return ThreadPlace(call, self._thread.leave, self._thread.enter)

    def leave(self, call: Call) -> None:
        """Give the slot of a coroutine that waits to others."""
        if self._calls.coroutines.get(call.job.execution) is call:
            call.hide(self._board)
            self._let_go(call)
            return
        # It wants one for the end of a wait, and does not wait for that alone any more.
        self._let_go_on(call)

    def come_back(self, call: Call, go_on: Callable[[], None]) -> None:
        """Call `go_on` once a call that is away has a slot again: nothing starts before it."""
        if self._calls.away.get(call.job.execution) is not call:
            go_on()
            return
        self.put_back()
        self._returning.append((call, go_on))
        self._fill()
        if self._returning and not self._watched:
            self._watch()

    def come_back_at_once(self, call: Call) -> None:
        """Let a coroutine go on even if that makes one more than there are slots."""
        if self._calls.enter(call):
            self._let_go_on(call)
            call.show(self._board)

    def let_back(self) -> None:
        """Give free slots to those that want one again."""
        while self._returning and self._calls.free > 0:
            call, go_on = self._returning.popleft()
            if self._calls.enter(call) and call.is_async:
                call.show(self._board)
            go_on()

    def left(self, call: Call) -> None:
        """Hear that a plain function has left the sync thread to others."""
        if self._calls.handed.get(call.job.execution) is not call:
            return  # given back meanwhile
        if call.overdue is not None and not call.watched:
            call.watched = True
            left_s = max(0.0, call.overdue.left_s)
            asyncio.get_running_loop().call_later(left_s, self._thread.overdue, call)
        self._let_go(call)

    def wants(self, call: Call) -> None:
        """Hear that one would go on there."""
        if self._calls.away.get(call.job.execution) is not call:
            return  # given back meanwhile: its process ends
        self.come_back(call, lambda: self._thread.resume(call))

    def put_back(self) -> None:
        """Let all plain functions wait again that the thread has not begun."""
        for waiting in reversed(list(self._calls.handed.values())):
            if self._thread.take_back(waiting):
                self._calls.put_back(waiting)

    def forget(self) -> None:
        """Let nobody come back."""
        self._returning.clear()

    # ---------------------------------------------------------------------------------------

    def _watch(self) -> None:
        self._watched = True
        loop, first = asyncio.get_running_loop(), self._returning[0]
        loop.call_later(_LONG_S, self._look, first)

    def _look(self, first: _Entry) -> None:
        """Say who has waited for a slot all the time, and who has the slots: a deadlock, perhaps.

        Locks are the applications' own: nobody can see here who holds which.
        """
        self._watched = False
        if not self._returning:
            return
        if self._returning[0] is first:
            running = [*self._calls.coroutines.values(), *self._calls.handed.values()]
            log.warning(
                "job kept from going on",
                job=first[0].job.id,
                task=first[0].name,
                waits_s=_LONG_S,
                hint="a lock that it holds, and those in the slots want, is a deadlock",
                in_slots=[f"{each.name} {each.job.id}" for each in running],
            )
        self._watch()

    def _let_go_on(self, call: Call) -> None:
        """Have what wants a slot for a call go on without asking for one any more."""
        for entry in [each for each in self._returning if each[0] is call]:
            self._returning.remove(entry)
            entry[1]()

    def _let_go(self, call: Call) -> None:
        self._calls.leave(call)
        self._fill()
        self._changed()
