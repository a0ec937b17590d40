"""Loop: an event loop in a thread of its own, and calls that must not run on any loop."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """An event loop in a thread of its own, for the length of a `with` block."""

    def __enter__(self) -> Loop:
        self._held = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="reuse-queue-inline")
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function, a coroutine function on the loop, and return its result."""
        if not inspect.iscoroutinefunction(function):
            return function(*args, **kwargs)
        outcome = self._run(_outcome(function(*args, **kwargs)))
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def beside(self, function: Callable[[], T]) -> T:
        """Call a function where no event loop runs: here, or else in another thread."""
        if not _a_loop_runs_here():
            return function()
        # A coroutine of ours that blocks holds the loop: what it waits for cannot run there.
        ours = threading.current_thread() is self._thread
        self._held += ours
        try:
            return in_thread(function).result()
        finally:
            self._held -= ours

    def _serve(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._loop.call_soon(self._ready.set)
            self._loop.run_forever()

    def _run(self, wanted: Coroutine[Any, Any, T]) -> T:
        if self._held:
            return asyncio.run(wanted)
        return asyncio.run_coroutine_threadsafe(wanted, self._loop).result()


def in_thread(function: Callable[[], T]) -> Future[T]:
    """Start a function in a new thread: those of a pool could all wait for one another."""
    future: Future[T] = Future()
    # Who waits on a loop and is canceled cancels what cannot be canceled any more.
    future.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(function))
        except BaseException as error:  # noqa: BLE001  # whoever waits for the future gets it
            future.set_exception(error)

    threading.Thread(target=work, name="reuse-queue-inline-call").start()
    return future


@dataclass(frozen=True, slots=True)
class _Outcome:
    value: Any = None
    error: BaseException | None = None


async def _outcome(wanted: Coroutine[Any, Any, Any]) -> _Outcome:
    """Return what a coroutine returns or raises: a SystemExit must not end the loop."""
    try:
        return _Outcome(value=await wanted)
    except BaseException as error:  # noqa: BLE001  # raised again by whoever called
        return _Outcome(error=error)


def _a_loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
