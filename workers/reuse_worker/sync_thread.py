"""The thread that runs an environment's sync tasks and sync hooks, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from queue import SimpleQueue
from typing import TypeVar

from reuse_queue.board import Board, Overdue
from reuse_queue.job import Outcome
from reuse_worker.call import ORDERED, Call, Limit

T = TypeVar("T")


class SyncThread:
    """Runs calls in the order they are given and hands their outcomes back in batches.

    The thread starts with the first call. It is a daemon: a call that never returns does not
    keep the process. A call that waits for another job (`leave`) keeps its thread, and another
    thread goes on with what is to be run, until the call may go on (`resume`): never more than
    one of them runs.

    Args:
        run: turns a call into its outcome, on the thread.
        board: shows what runs; its slot is taken and left on the thread.
        context: what every call sees a copy of.
        collect: gets the ended calls with their outcomes, on the loop.
        left: hears, on the loop, of a call that waits.
        wants: hears, on the loop, of one that would go on.
        sure: says, on the thread, whether a call may begin.
        refused: hears, on the loop, of one that might not, and has not begun.
        broke: hears, on the loop, of an error in the thread itself.
    """

    def __init__(  # noqa: PLR0913  # the slots' own functions
        self,
        run: Callable[[Call], Outcome],
        board: Board,
        context: contextvars.Context,
        *,
        collect: Callable[[Call, Outcome], None],
        left: Callable[[Call], None],
        wants: Callable[[Call], None],
        sure: Callable[[], bool],
        refused: Callable[[Call], None],
        broke: Callable[[BaseException], None],
    ) -> None:
        self._run = run
        self._board = board
        self._context = context
        self._collect_one = collect
        self._left = left
        self._wants = wants
        self._sure = sure
        self._refused = refused
        self._broke = broke
        self._loop = asyncio.get_running_loop()
        self._todo: deque[Call | Callable[[], None] | threading.Event | None] = deque()
        self._back: dict[Call, threading.Event] = {}
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._ended: deque[tuple[Call, Outcome]] = deque()
        self._told = False
        self._current: Call | None = None
        # The loop moves a canceled call's deadline while the thread may just be leaving its slot.
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, call: Call) -> None:
        """Run a call after all that were given before."""
        self._add(call)

    def take_back(self, call: Call) -> bool:
        """Return whether the call had not started, and now never will."""
        try:
            self._todo.remove(call)
        except ValueError:
            return False
        return True

    def condemn(self, call: Call, deadline: float, meaning: Overdue) -> None:
        """Show the call, if it still runs, as overdue from `deadline` on, and why."""
        with self._lock:
            if self._current is call or call in self._back:
                call.overdue = Limit(deadline, meaning)
                call.show(self._board)

    def allow(self, call: Call, span: timedelta | None) -> None:
        """Let a call, of whatever kind, go on for so long from now; None: for ever."""
        meaning = ORDERED.get(call.order, Overdue.TIMEOUT) if call.order else Overdue.TIMEOUT
        deadline = math.inf if span is None else time.monotonic() + span.total_seconds()
        with self._lock:
            if call.slot >= 0:
                self._board.move(call.slot, call.job.execution, deadline, meaning)

    def hide(self) -> None:
        """Take what runs off the board for good: it is given back and the process ends."""
        with self._lock:
            for call in self._back:
                call.hide(self._board)
            if self._current is not None:
                self._current.hide(self._board)
                self._current = None

    async def call(self, function: Callable[[], T]) -> T:
        """Run a function on the thread and return what it returns."""
        done: asyncio.Future[T] = self._loop.create_future()

        def here() -> None:
            try:
                value = self._context.run(function)
            except BaseException as error:  # noqa: BLE001  # passed on to whoever awaits it
                self._tell(_fail, done, error)
            else:
                self._tell(_succeed, done, value)

        self._add(here)
        return await done

    def close(self) -> None:
        """Let the thread end after what it was given."""
        if self._thread is not None:
            self._add(None)

    def leave(self, call: Call) -> bool:
        """Let another thread go on while the call, which is running, waits; False: none can."""
        with self._lock:
            if self._current is not call:
                return False
            try:
                self._start()
            except RuntimeError:
                return False
            self._back[call] = threading.Event()
            call.hide(self._board)
            self._current = None
        self._tell(self._left, call)
        return True

    def enter(self, call: Call) -> None:
        """Block until the call that has left may go on."""
        self._tell(self._wants, call)
        self._back[call].wait()
        with self._lock:
            del self._back[call]
            call.show(self._board)
            self._current = call
        if call.order is not None:
            raise asyncio.CancelledError(f"job {call.job.id} was told to end")

    def resume(self, call: Call) -> None:
        """Let a call go on that wants to, after all that was given before; on the loop."""
        self._add(self._back[call])

    def overdue(self, call: Call) -> None:
        """Show a call that has waited beyond its limit."""
        with self._lock:
            if call in self._back:
                call.show(self._board)

    # -- on the thread ----------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while True:
                try:
                    item = self._todo.popleft()
                except IndexError:
                    self._wake.get()
                    continue
                if item is None:
                    return
                if isinstance(item, Call):
                    self._work_on(item)
                elif isinstance(item, threading.Event):
                    item.set()
                    return
                else:
                    item()
        except BaseException as error:  # noqa: BLE001  # a silent end would leave its jobs hanging
            self._tell(self._broke, error)

    def _work_on(self, call: Call) -> None:
        if not self._sure():
            self._tell(self._refused, call)
            return
        call.begin(self._board)
        with self._lock:
            call.overdue = call.limit()
            call.show(self._board)
            self._current = call
        outcome = self._context.copy().run(self._run, call)
        with self._lock:
            if self._current is call:
                call.hide(self._board)
                self._current = None
        self._ended.append((call, outcome))
        if not self._told:
            self._told = True
            self._tell(self._collect)

    def _tell(self, callback: Callable[..., None], *args: object) -> None:
        # A call that outlives its replica's loop has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)

    # -- on the loop ------------------------------------------------------------------------

    def _add(self, item: Call | Callable[[], None] | threading.Event | None) -> None:
        self._todo.append(item)
        if self._wake.empty():
            self._wake.put(None)
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="sync-tasks", daemon=True)
        thread.start()
        self._thread = thread

    def _collect(self) -> None:
        # Before looking: what ends from here on is either seen below or told anew.
        self._told = False
        while self._ended:
            self._collect_one(*self._ended.popleft())


def _fail(done: asyncio.Future[T], error: BaseException) -> None:
    if not done.done():
        # A StopIteration cannot be set on a future: it would end the coroutine that awaits it.
        if isinstance(error, StopIteration):
            wrapped = RuntimeError("the function raised StopIteration")
            wrapped.__cause__ = error
            error = wrapped
        done.set_exception(error)


def _succeed(done: asyncio.Future[T], value: T) -> None:
    if not done.done():
        done.set_result(value)
