"""Scaler: snapshot → decide → apply, for all environments, as long as it leads."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection

import structlog

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.fleet import Fleet
from reuse_queue.errors import LeadLost, RedisRefused, RedisUnavailable
from reuse_queue.jitter import spread
from reuse_queue.scaler.lead import Lead
from reuse_queue.scaler.looks import Looks
from reuse_queue.scaler.wakes import Wakes

log = structlog.get_logger()
# Environments in one pipeline: between two of these, whoever has news comes first.
_BATCH = 100
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0


class Scaler:
    """The daemon: one of several leads, looks every `settings.tick`, and at once where it is woken.

    Without Redis, or without the lead, nothing is scaled and all work goes on.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._fleet = Fleet(connection.keys, connection.settings)
        self._lead = Lead(connection)
        self._tick_s = connection.settings.tick.total_seconds()
        self._wakes = Wakes(longest_s=self._tick_s)
        self._looks = Looks(connection, self._lead.token)
        self._fence = 0
        self._new = True
        self._next_tick = 0.0
        self._pause = _FIRST_WAIT_S

    async def run(self) -> None:
        """Scale until canceled, then give up the lead."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._lead.keep())
                group.create_task(self._listen())
                group.create_task(self._scale())
        finally:
            with contextlib.suppress(RedisUnavailable, RedisRefused, TimeoutError):
                await self._lead.resign()

    # ---------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Take in wakes; those that are missed are made up for by the next tick."""
        while True:
            try:
                async with self._connection.listen(
                    self._connection.keys.wake_channel()
                ) as messages:
                    while True:
                        message = await messages.get_message(timeout=None)
                        if message is not None and self._lead.held:
                            self._wakes.add(message["data"].decode(errors="replace"))
            except RedisUnavailable:
                await asyncio.sleep(spread(_LONGEST_WAIT_S))

    async def _scale(self) -> None:
        while True:
            await self._lead.wait()
            if self._lead.fence != self._fence:
                # Others have led meanwhile: what was seen before is no ground to drain anything.
                self._fence, self._next_tick = self._lead.fence, 0.0
                self._looks.start_anew()
                self._new = True
            try:
                await self._turn()
            except LeadLost:
                self._lead.lose()
                # In a Redis that was emptied, the number of the next lead may be the same again.
                self._fence = 0
            except (RedisUnavailable, RedisRefused) as error:
                log.warning("scaler holds: redis takes no decisions", error=str(error))
                await self._hold()
            except Exception:
                log.exception("look failed")
                await self._hold()
            else:
                self._pause = _FIRST_WAIT_S

    async def _hold(self) -> None:
        await asyncio.sleep(spread(self._pause))
        self._pause = min(self._pause * 2, _LONGEST_WAIT_S)

    async def _turn(self) -> None:
        """Look at all environments when it is time, before that at those that have news."""
        woken = await self._wakes.due(self._next_tick)
        if time.monotonic() < self._next_tick:
            await self._look(woken)
            return
        began = time.monotonic()
        self._next_tick = began + self._tick_s
        self._wakes.rest()
        names = await self._connection.arun(self._fleet.environments())
        self._looks.keep(names)
        batches = [names[start : start + _BATCH] for start in range(0, len(names), _BATCH)]
        if self._new and len(batches) > 1:
            for batch in batches:
                await self._looks.survey(batch)
        self._new = False
        for batch in batches:
            await self._look(batch)
            await self._look(await self._wakes.due(0.0))
        # Very many environments: look at them less often rather than without a pause.
        now = time.monotonic()
        self._next_tick = max(self._next_tick, now + (now - began))

    async def _look(self, names: Collection[str]) -> None:
        if not names:
            return
        changed = await self._looks.look(sorted(names))
        for name in names:
            self._wakes.looked(name, changed=name in changed)
