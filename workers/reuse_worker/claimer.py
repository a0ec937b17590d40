"""Claimer: keeps the slots of one replica busy."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import structlog

from reuse_queue.broker.connection import MAX_BLOCK_S
from reuse_queue.errors import RedisRefused, RedisUnavailable
from reuse_queue.job import Claim
from reuse_worker.backoff import waits
from reuse_worker.batch import claim_size
from reuse_worker.heartbeat import Heartbeat
from reuse_worker.life import Life
from reuse_worker.recorder import Recorder
from reuse_worker.slots import Slots
from reuse_worker.steps import Steps

log = structlog.get_logger()
_STALL_S = 0.1
# A crowded replica looks for its jobs' children this often, less and less.
_FIRST_LOOK_S, _LAST_LOOK_S = 0.005, 0.25
_STUCK_S, _LONGEST_PATIENCE_S = 1.0, 2.0
# Redis serves who has waited longest without a break. A replica that has just worked waits long,
# one that has not waits in short turns and so falls in behind it: a trickle of jobs goes to few
# replicas, and the others stay idle until scaling down takes them.
_FIRST_WAIT = timedelta(seconds=MAX_BLOCK_S)
_LATER_WAIT = timedelta(seconds=1)


class Claimer:
    """Claims jobs for free slots, and a little ahead where `batch.claim_size` says so.

    While the queue is empty it waits in a blocking move, so that a job starts as soon as it is
    enqueued.
    """

    def __init__(
        self, steps: Steps, life: Life, heartbeat: Heartbeat, slots: Slots, recorder: Recorder
    ) -> None:
        self._steps = steps
        self._life = life
        self._heartbeat = heartbeat
        self._slots = slots
        self._recorder = recorder
        self._seen = Claim()
        self._empty = False
        """The last claim found fewer jobs than it asked for."""
        self._wait = _FIRST_WAIT
        self._patience_s = _STUCK_S
        self._tidied = time.monotonic()

    async def run(self) -> None:
        """Claim until the replica drains; then give back what has not started.

        On return the replica holds what runs and what is not recorded yet, and nothing else.
        """
        self._empty = False
        pauses = waits()
        while not self._life.draining:
            try:
                await self._turn()
                pauses = waits()
            except RedisRefused as error:
                log.warning("claim refused by Redis", error=str(error))
                await self._unless_draining(asyncio.sleep(next(pauses)))
            except RedisUnavailable as error:
                log.warning("redis away while claiming", error=str(error))
                await self._heartbeat.renewed()
                # A claim's reply may be lost: what it brought must not stay here unseen.
                self._tidied = 0.0
        self._slots.give_back()
        await self.tidy()

    async def tidy(self) -> None:
        """Give back whatever this replica holds without knowing of it, until that is done."""
        pauses = waits()
        while True:
            try:
                given_back = await self._steps.release(
                    known=[*self._slots.held(), *self._recorder.held()]
                )
            except RedisRefused as error:
                log.warning("giving back refused by Redis", error=str(error))
                await asyncio.sleep(next(pauses))
            except RedisUnavailable:
                await self._heartbeat.renewed()
            else:
                self._tidied = time.monotonic()
                if given_back:
                    log.info("jobs given back", jobs=given_back)
                return

    # ---------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        if time.monotonic() - self._tidied > self._steps.settings.lease.total_seconds():
            await self.tidy()
        count = self._size()
        if not self._slots.crowded:
            self._patience_s = _STUCK_S
        if not count:
            await self._room()
        elif self._slots.crowded:
            await self._children(count)
        elif self._empty:
            # The wait ends now and then without a job: the claim also looks where it cannot.
            waiting = self._steps.wait(self._wait, count)
            self._wait = _LATER_WAIT
            # What it may bring after all when a drain cuts it short, `tidy` gives back.
            seen = await self._life.unless(lambda: self._life.draining, waiting)
            if seen is not None:
                await self._take(count, seen)
                # Somebody may be waiting for just this job: let it begin before the next wait.
                await asyncio.sleep(0)
        else:
            await self._take(count, await self._steps.claim(count))

    async def _children(self, count: int) -> None:
        """Take only what jobs that wait may be waiting for, until fewer wait or one has come.

        What they wait for may also lie in the queue, as rq or a retry has put it there: a replica
        that can do nothing else takes one job from there now and then, whatever it is.
        """
        ends = time.monotonic() + self._patience_s
        pause = _FIRST_LOOK_S
        while not self._life.draining and self._slots.crowded and self._slots.free > 0:
            seen = await self._steps.claim(count, urgent_only=True)
            await self._take(count, seen)
            if seen.jobs or seen.refused:
                return
            if time.monotonic() > ends and not self._slots.busy:
                self._patience_s = min(2 * self._patience_s, _LONGEST_PATIENCE_S)
                await self._take(1, await self._steps.claim(1))
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._life.wait_for(
                        lambda: self._life.draining or not self._slots.crowded or not self._size()
                    )
            pause = min(2 * pause, _LAST_LOOK_S)

    def _size(self) -> int:
        return claim_size(
            free=self._slots.free,
            ahead=self._slots.ahead,
            concurrency=self._slots.concurrency,
            seen=self._seen,
            pace=self._slots.pace,
            away=self._slots.away,
        )

    async def _room(self) -> None:
        """Wait for room; give back what waits for a slot too long."""
        before = self._slots.ended
        try:
            async with asyncio.timeout(_STALL_S if self._slots.ahead else None):
                await self._life.wait_for(
                    lambda: (
                        self._size()
                        or self._life.draining
                        or (self._slots.ahead and self._slots.ended > before)
                    )
                )
        except TimeoutError:
            # Other replicas may be idle by now: jobs must not wait here behind a long one.
            self._slots.pace.stalled(_STALL_S)
            self._slots.give_back()
            await self.tidy()

    async def _take(self, count: int, seen: Claim) -> None:
        self._seen = seen
        self._empty = len(seen.jobs) < count and not seen.refused
        if seen.jobs:
            self._wait = _FIRST_WAIT
            await self._heartbeat.sure()
        self._slots.take(seen.jobs)
        if seen.dropped:
            log.info("jobs dropped: canceled, expired or deleted", jobs=seen.dropped)
        if seen.refused:
            log.debug("claim refused", why=seen.refused)
            await self._unless_draining(self._refused(seen.refused))

    async def _unless_draining(self, doing: Coroutine[Any, Any, object]) -> None:
        await self._life.unless(lambda: self._life.draining, doing)

    async def _refused(self, why: str) -> None:
        if why == "paused":
            await asyncio.sleep(self._steps.settings.heartbeat.total_seconds())
        else:
            await self._heartbeat.renewed()
