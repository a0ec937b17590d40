"""Life: what a replica has been told to do, for its parts to obey and to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from reuse_queue.facts import ReplicaState

T = TypeVar("T")


class Life:
    """The orders that hold for one replica, and who waits for a change.

    Attributes:
        state: the replica's state as Redis last gave it.
        draining: it is to claim no more.
        stopping: a signal told it to end; unlike a drain, that is final.
        grace_over: what still runs is to be stopped now.
    """

    def __init__(self) -> None:
        self.state = ReplicaState.STARTING
        self.draining = False
        self.stopping = False
        self.grace_over = False
        self._waiters: list[asyncio.Future[None]] = []
        self._scopes: list[tuple[Callable[[], bool], asyncio.Timeout]] = []

    # -- orders -----------------------------------------------------------------------------

    def drain(self) -> None:
        """Claim no more and finish what is held."""
        if not self.draining:
            self.draining = True
            self.notify()

    def undrain(self) -> None:
        """Go on claiming; has no effect after `stop`."""
        if self.draining and not self.stopping:
            self.draining = False
            self.notify()

    def stop(self, grace_s: float) -> None:
        """Drain for good within `grace_s`; a second call ends the grace at once."""
        if self.stopping:
            self.end_grace()
            return
        self.stopping = True
        asyncio.get_running_loop().call_later(grace_s, self.end_grace)
        self.drain()

    def end_grace(self) -> None:
        """Stop what still runs."""
        self.grace_over = True
        self.notify()

    # -- waiting ----------------------------------------------------------------------------

    def notify(self) -> None:
        """Let everyone who waits look again."""
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        for condition, scope in self._scopes:
            if not scope.expired() and condition():
                scope.reschedule(asyncio.get_running_loop().time())

    async def wait_for(self, condition: Callable[[], object]) -> None:
        """Return once the condition is true; it is looked at after every `notify`."""
        while not condition():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    async def unless(
        self, condition: Callable[[], bool], doing: Coroutine[Any, Any, T]
    ) -> T | None:
        """Return what `doing` returns, or None as soon as the condition is true."""
        if condition():
            doing.close()
            return None
        scope = asyncio.timeout(None)
        entry = (condition, scope)
        self._scopes.append(entry)
        try:
            async with scope:
                return await doing
        except TimeoutError:
            if not scope.expired():
                raise
            return None
        finally:
            self._scopes.remove(entry)
