"""Places: how a running call gives its slot up, and gets one again, from wherever its code runs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

from reuse_worker.call import Call


class Owner(Protocol):
    """What has the slots of coroutines; all on the loop."""

    def leave(self, call: Call) -> None:
        """Give a call's slot to others."""

    def come_back(self, call: Call, go_on: Callable[[], None]) -> None:
        """Call `go_on` once the call has a slot again."""

    def come_back_at_once(self, call: Call) -> None:
        """Let the call have one more slot than there are."""


class CoroutinePlace:
    """A coroutine's. It is away as long as anything in it waits, however many waits there are."""

    def __init__(self, call: Call, slots: Owner) -> None:
        self._call = call
        self._slots = slots
        self._waits = 0
        self._over = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def leave(self) -> None:
        """Begin one wait."""
        if threading.get_ident() == self._thread:
            self._leave()
        else:
            self._loop.call_soon_threadsafe(self._leave)

    def enter(self) -> None:
        """End a wait of another thread's: on the loop itself nothing may block."""
        asyncio.run_coroutine_threadsafe(self._enter(at_once=False), self._loop).result()

    async def aenter(self, *, at_once: bool) -> None:
        """End one wait."""
        if threading.get_ident() == self._thread:
            await self._enter(at_once=at_once)
        else:
            entering = self._enter(at_once=at_once)
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(entering, self._loop))

    def close(self) -> None:
        """Have the slot to the call's end, though something that it has left behind waits."""
        self._over = True
        self._slots.come_back_at_once(self._call)

    def _leave(self) -> None:
        self._waits += 1
        if not self._over:
            self._slots.leave(self._call)

    async def _enter(self, *, at_once: bool) -> None:
        self._waits -= 1
        if self._waits:
            return
        if at_once:
            self._slots.come_back_at_once(self._call)
            return
        back: asyncio.Future[None] = self._loop.create_future()
        self._slots.come_back(self._call, lambda: _let(back))
        try:
            await back
        except asyncio.CancelledError:
            # Something else in the call may have begun to wait just now: it is away for that.
            if not self._waits:
                self._slots.come_back_at_once(self._call)
            raise


def _let(back: asyncio.Future[None]) -> None:
    if not back.done():
        back.set_result(None)


class ThreadPlace:
    """A plain function's, on the sync thread.

    Args:
        call: the call.
        leave: lets another thread run what is next.
        enter: blocks until this one may go on.
    """

    def __init__(
        self, call: Call, leave: Callable[[Call], bool], enter: Callable[[Call], None]
    ) -> None:
        self._call = call
        self._leave = leave
        self._enter = enter
        self._lock = threading.Lock()
        self._waits = 0
        self._left = False
        self._over = False

    def leave(self) -> None:
        """Begin one wait."""
        with self._lock:
            self._waits += 1
            if not self._left and not self._over:
                self._left = self._leave(self._call)

    def enter(self) -> None:
        """End one wait."""
        with self._lock:
            self._waits -= 1
            if not self._waits:
                self._come_back()

    async def aenter(self, *, at_once: bool) -> None:  # noqa: ARG002  # one thread has the slot
        """End one wait of a loop that the function runs itself."""
        await asyncio.to_thread(self.enter)

    def close(self) -> None:
        """Have the slot to the call's end, though a thread that it has left behind waits."""
        with self._lock:
            self._over = True
            # Told to end while it waited for its slot: its outcome says so anyway.
            with contextlib.suppress(asyncio.CancelledError):
                self._come_back()

    def _come_back(self) -> None:
        if self._left:
            self._left = False
            self._enter(self._call)
