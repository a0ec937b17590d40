"""Link: an agent's way to Redis, which waits for one that is away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

import structlog

from reuse_queue.broker.connection import Connection, Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.errors import RedisUnavailable

T = TypeVar("T")
log = structlog.get_logger()
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0
_SILENT_S = 30.0


class Link:
    """Asks Redis, and asks again until there is an answer."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.settings = connection.settings
        self.fleet = Fleet(connection.keys, connection.settings)
        self._away = False

    async def ask(self, make: Callable[[], Step[T]]) -> T:
        """Return a step's result; `make` makes it anew for every try."""
        wait = _FIRST_WAIT_S
        while True:
            try:
                answer = await self.connection.arun(make())
            except RedisUnavailable as error:
                if not self._away:
                    log.warning("redis out of reach", reason=str(error))
                self._away = True
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))
                wait = min(wait * 2, _LONGEST_WAIT_S)
            else:
                if self._away:
                    log.info("redis reached again")
                self._away = False
                return answer

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
