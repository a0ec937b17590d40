"""Calls: what a replica holds, by what has become of it so far."""

from __future__ import annotations

from collections import deque

from reuse_worker.call import Call


class Calls:
    """The calls that run in slots, those that are away, and those that wait for their start."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.coroutines: dict[str, Call] = {}
        self.handed: dict[str, Call] = {}
        """Given to the sync thread, which may have started the first of them only."""
        self.away: dict[str, Call] = {}
        """They have started and wait for other jobs, without a slot."""
        self.ahead: deque[Call] = deque()

    @property
    def busy(self) -> int:
        """How many slots run something."""
        return len(self.coroutines) + bool(self.handed)

    @property
    def free(self) -> int:
        """How many slots run nothing; below 0 where more run than there are slots."""
        return self.concurrency - self.busy

    @property
    def unbegun(self) -> int:
        """How many wait for their start."""
        return len(self.ahead) + max(0, len(self.handed) - 1)

    def begun(self) -> list[Call]:
        """Return those that have started, and what the sync thread may start."""
        return [*self.coroutines.values(), *self.handed.values(), *self.away.values()]

    def all(self) -> list[Call]:
        """Return all of them."""
        return [*self.begun(), *self.ahead]

    def enter(self, call: Call) -> bool:
        """Give a call that is away a slot again; return whether it was."""
        if self.away.pop(call.job.execution, None) is None:
            return False
        running = self.coroutines if call.is_async else self.handed
        running[call.job.execution] = call
        return True

    def leave(self, call: Call) -> bool:
        """Take a call's slot from it; return whether it had one."""
        running = self.coroutines if call.is_async else self.handed
        if running.pop(call.job.execution, None) is None:
            return False
        self.away[call.job.execution] = call
        return True

    def put_back(self, call: Call) -> bool:
        """Let a call that has not begun wait again, before all others; return whether it was here.

        Whoever calls this has made sure that it has not.
        """
        started = self.coroutines if call.is_async else self.handed
        if started.pop(call.job.execution, None) is None:
            return False
        call.running = None
        self.ahead.appendleft(call)
        return True

    def drop(self) -> None:
        """Forget what has started."""
        self.coroutines.clear()
        self.handed.clear()
        self.away.clear()
