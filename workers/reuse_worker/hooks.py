"""Hooks: the application's own functions at the start and the end of a replica."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from reuse_worker.failures import describe
from reuse_worker.sync_thread import SyncThread

Hook = Callable[[], Any]


class Hooks:
    """Runs hooks one after the other: coroutine functions on the loop, others on the sync thread.

    All run in one context, of which every job sees a copy: a context variable that on_start sets
    is there for the tasks.
    """

    def __init__(self, thread: SyncThread, context: contextvars.Context) -> None:
        self._thread = thread
        self._context = context

    async def start(self, hooks: Iterable[Hook]) -> str:
        """Run hooks up to the first that raises; return its traceback, or empty."""
        for hook in hooks:
            problem = await self._run(hook)
            if problem:
                return problem
        return ""

    async def stop(self, hooks: Iterable[Hook]) -> list[str]:
        """Run all hooks, whatever one of them raises; return the tracebacks."""
        problems = [await self._run(hook) for hook in hooks]
        return [problem for problem in problems if problem]

    async def _run(self, hook: Hook) -> str:
        if inspect.iscoroutinefunction(hook):
            return await self._on_loop(hook())
        returned, problem = await _outcome(self._thread.call(hook))
        # A callable object may be asynchronous without looking like it.
        if inspect.isawaitable(returned):
            return await self._on_loop(returned)
        return problem

    async def _on_loop(self, running: Awaitable[object]) -> str:
        loop = asyncio.get_running_loop()
        _, problem = await loop.create_task(_outcome(running), context=self._context)
        return problem


async def _outcome(running: Awaitable[object]) -> tuple[object, str]:
    """Return what `running` returns, and the traceback of what it raises, or empty."""
    me = asyncio.current_task()
    canceled_before = me.cancelling() if me else 0
    try:
        return await running, ""
    except BaseException as error:
        if me and me.cancelling() > canceled_before:
            raise  # ours: the replica is told to end
        return None, describe(error)
