"""Lead: one of several scalers acts, the others stand by."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta

import structlog

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.lines import AsyncLines
from reuse_queue.broker.scaling import Scaling
from reuse_queue.errors import RedisRefused, RedisUnavailable
from reuse_queue.jitter import spread

log = structlog.get_logger()
TTL = timedelta(seconds=3)
_RENEW_S = 1.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 2.0


class Lead:
    """The lease of the leading scaler, taken and renewed by `keep`.

    Attributes:
        token: what proves the lead to Redis.
        fence: rises with every change of leader; 0 before the first lead.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._scaling = Scaling(connection.keys, connection.settings)
        self.token = f"{connection.settings.host}:{os.getpid()}:{os.urandom(8).hex()}"
        self.fence = 0
        self._until = 0.0
        self._leads = False
        """It took the lead, and has not heard yet that another one did."""
        self._taken = asyncio.Event()
        self._probe: AsyncLines | None = None

    @property
    def held(self) -> bool:
        """Whether this scaler leads, for all that it knows."""
        return time.monotonic() < self._until

    async def wait(self) -> None:
        """Return once this scaler leads."""
        while not self.held:
            self._taken.clear()
            await self._taken.wait()

    def lose(self) -> None:
        """Take note that another one leads."""
        if self._leads:
            log.warning("lead lost")
        self._until, self._leads = 0.0, False

    async def keep(self) -> None:
        """Take the lead whenever it is free, and renew it, until canceled."""
        pause = _FIRST_WAIT_S
        self._probe = self._connection.probe()
        while True:
            try:
                async with asyncio.timeout(TTL.total_seconds()):
                    await self._renew()
            except (RedisUnavailable, RedisRefused, TimeoutError) as error:
                log.warning("lead not renewed", error=str(error) or "no answer", next_s=pause)
                await asyncio.sleep(spread(pause))
                pause = min(pause * 2, _LONGEST_WAIT_S)
            else:
                if pause > _FIRST_WAIT_S:
                    await self._connection.refresh()
                pause = _FIRST_WAIT_S
                # Standbys come at different times, so that they do not all ask at once.
                await asyncio.sleep(_RENEW_S if self.held else spread(_RENEW_S, 0.7, 1.3))

    async def resign(self) -> None:
        """Give the lead up, so that a standby need not wait for its end."""
        if self.held:
            self._until, self._leads = 0.0, False
            async with asyncio.timeout(TTL.total_seconds()):
                await self._connection.arun(self._scaling.resign(self.token))
            log.info("lead resigned")

    async def _renew(self) -> None:
        sent = time.monotonic()
        step = self._scaling.lead(self.token, TTL)
        fence = await self._connection.arun(step, lines=self._probe)
        if not fence:
            self.lose()
            return
        if fence != self.fence:
            log.info("lead taken", fence=fence)
        self.fence, self._until, self._leads = fence, sent + TTL.total_seconds(), True
        self._taken.set()
