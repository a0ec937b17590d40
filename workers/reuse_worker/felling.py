"""Felling: cancels what jobs have enqueued that were canceled here, or were too late."""

from __future__ import annotations

import asyncio

import structlog

from reuse_queue.errors import RedisRefused, RedisUnavailable
from reuse_worker.backoff import waits
from reuse_worker.steps import Steps

log = structlog.get_logger()


class Felling:
    """Does it at once, beside the replica's work; what is left when it ends, the scaler does."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._asked = asyncio.Event()

    def soon(self) -> None:
        """Look for such jobs."""
        self._asked.set()

    async def run(self) -> None:
        """Do it whenever there is reason to, until canceled."""
        pauses = waits()
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._steps.fell()
                pauses = waits()
            except (RedisRefused, RedisUnavailable) as error:
                log.warning("children not canceled yet", error=str(error))
                self._asked.set()
                await asyncio.sleep(next(pauses))
