"""Link: an agent's way to Redis, which waits for one that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import structlog

from reuse_queue.broker.connection import Connection, Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.errors import RedisRefused, RedisUnavailable
from reuse_queue.jitter import spread

T = TypeVar("T")
log = structlog.get_logger()
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0
_SILENT_S = 30.0
_SHORTEST_S = 1.0


class Link:
    """Asks Redis, and asks again until there is an answer.

    Also where it refuses (out of memory, no permission): an agent that ended over that would take
    its replicas with it.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.settings = connection.settings
        self.fleet = Fleet(connection.keys, connection.settings)
        self._troubled = False
        # A request on a dead connection must not last for as long as the lease that it is about.
        self._patience_s = max(_SHORTEST_S, self.settings.lease.total_seconds() / 6)

    async def ask(self, make: Callable[[], Step[T]], *, refusals: int | None = None) -> T:
        """Return a step's result; `make` makes it anew for every try.

        Args:
            make: makes the step.
            refusals: raise what comes at this many refusals; None: never.
        """
        wait, refused = _FIRST_WAIT_S, 0
        while True:
            try:
                async with asyncio.timeout(self._patience_s):
                    answer = await self.connection.arun(make())
            except (RedisUnavailable, TimeoutError) as error:
                self._note("redis out of reach", error)
            except RedisRefused as error:
                refused += 1
                if refused == refusals:
                    raise
                self._note("redis refuses", error)
            else:
                if self._troubled:
                    log.info("redis reached again")
                self._troubled = False
                return answer
            await asyncio.sleep(spread(wait))
            wait = min(wait * 2, _LONGEST_WAIT_S)

    def _note(self, event: str, error: Exception) -> None:
        if not self._troubled:
            log.error(event, reason=f"{type(error).__name__}: {error}")
        self._troubled = True

    async def listen(self, heard: Callable[[], None]) -> None:
        """Call `heard` at each message to this host, and where one may have been missed."""
        channel = self.connection.keys.orders_channel(self.settings.host)
        while True:
            try:
                async with self.connection.listen(channel) as messages:
                    heard()
                    # A subscription on a dead connection is silent for ever: after a silence, anew.
                    while await messages.get_message(timeout=_SILENT_S) is not None:
                        heard()
            except RedisUnavailable:
                await asyncio.sleep(_LONGEST_WAIT_S)
