"""Heartbeat: renews a replica's lease, brings its orders, and fences it without Redis."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from reuse_queue.board import Board
from reuse_queue.broker.fleet import Beat
from reuse_queue.errors import LeaseLost, RedisUnavailable
from reuse_queue.facts import ReplicaState
from reuse_worker.backoff import waits
from reuse_worker.commands import to_stop
from reuse_worker.life import Life
from reuse_worker.steps import Steps
from reuse_worker.tenure import Tenure, now

log = structlog.get_logger()
_STALL_S = 1.0


class Heartbeat:
    """Beats every `settings.heartbeat`, and at once when someone asks for it.

    Args:
        steps: the way to Redis.
        life: obeys the answers.
        tenure: hears of every renewal.
        board: shows when the agent has renewed.
        cancel: gets each execution that is to be canceled, perhaps more than once.
        halt: gets the id of each job, or execution, that rq's own command stops.
    """

    def __init__(
        self,
        steps: Steps,
        life: Life,
        tenure: Tenure,
        board: Board,
        cancel: Callable[[str], None],
        halt: Callable[[str], None],
    ) -> None:
        self._steps = steps
        self._life = life
        self._tenure = tenure
        self._board = board
        self._cancel = cancel
        self._halt = halt
        self._patience_s = steps.settings.lease.total_seconds() / 6
        self._asked = asyncio.Event()
        self._listening = asyncio.Event()
        self._stops: dict[str, int] = {}
        """What is to be stopped → the number of the newest beat when that was heard."""
        self._renewed = time.monotonic()
        self._begun = 0
        self._answered = 0
        """The number of the newest beat that was begun, and of the newest that was answered."""

    def soon(self) -> None:
        """Beat at once."""
        self._asked.set()

    async def renewed(self) -> None:
        """Return when a beat that was sent after this call has been answered and obeyed."""
        number = self._begun
        self.soon()
        await self._life.wait_for(lambda: self._answered > number)

    async def listens(self) -> None:
        """Return once this replica hears what it is told, or that takes longer than a heartbeat.

        rq's commands are told once: one that comes before is lost.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._steps.settings.heartbeat.total_seconds()):
                await self._listening.wait()

    async def sure(self) -> None:
        """Return when the lease is known to be ours: at once, unless too much time has passed."""
        if not self._tenure.sure():
            await self.renewed()

    async def run(self) -> None:
        """Beat until canceled.

        Raises:
            LeaseLost: the replica is off the books, or Redis was away for 2/3 of its lease.
        """
        self._renewed, failures = time.monotonic(), 0
        failing_since = self._renewed
        pauses = waits()
        while True:
            self._asked.clear()
            sent, since = time.monotonic(), now()
            answer = await self._beat()
            if answer is None:
                # A loop that a task had blocked was not away from Redis: it has to ask again
                # before it may conclude anything.
                failing_since = failing_since if failures else time.monotonic()
                failures += time.monotonic() - sent < self._patience_s + _STALL_S
                self._fence_if_due(failures, failing_since)
                await asyncio.sleep(next(pauses))
                continue
            if failures:
                log.info("redis reached again", away_s=round(sent - self._renewed, 3))
                await self._steps.refresh()
            self._renewed, failures = sent, 0
            pauses = waits()
            self._obey(answer)
            self._tenure.renewed(since)
            await self._pause()

    async def listen(self) -> None:
        """Beat at once whenever someone says something to this replica, until canceled."""
        connection = self._steps.connection
        channel = connection.keys.replica_channel(self._steps.replica)
        pauses = waits()
        while True:
            try:
                async with connection.listen(channel) as messages:
                    # What was said before the subscription stood is in the next answer.
                    self.soon()
                    self._listening.set()
                    pauses = waits()
                    while True:
                        self._hear(await messages.get_message(timeout=None))
            except RedisUnavailable:
                await asyncio.sleep(next(pauses))

    # ---------------------------------------------------------------------------------------

    def _hear(self, message: object) -> None:
        if message is not None:
            self.soon()
            if name := to_stop(message):
                log.info("stop heard", what=name)
                self._stops[name] = self._begun

    async def _beat(self) -> Beat | None:
        self._begun += 1
        number = self._begun
        try:
            async with asyncio.timeout(self._patience_s):
                answer = await self._steps.beat()
        except (RedisUnavailable, TimeoutError) as error:
            log.warning("heartbeat failed", error=str(error) or "no answer")
        except Exception:
            log.exception("heartbeat refused by Redis")
        else:
            self._answered = number
            return answer
        return None

    def _fence_if_due(self, failures: int, failing_since: float) -> None:
        # While a job blocked the loop, only the agent can have renewed. But what it renews must not
        # be held for ever by a replica that cannot reach Redis itself.
        since = min(max(self._renewed, self._board.renewed), failing_since)
        away = time.monotonic() - since
        if failures > 1 and away > self._steps.settings.lease.total_seconds() * 2 / 3:
            raise LeaseLost(f"no heartbeat was answered for {away:.1f} s")

    def _obey(self, answer: Beat) -> None:
        if answer.state is None:
            raise LeaseLost("the replica is off the books: its lease ran out or was ended")
        self._life.state = answer.state
        for execution in answer.cancel:
            self._cancel(execution)
        self._obey_stops()
        if answer.state in (ReplicaState.DRAINING, ReplicaState.STOPPING):
            self._life.drain()
        elif answer.state is ReplicaState.READY:
            self._life.undrain()
        if answer.stop_grace_over:
            self._life.end_grace()
        self._life.notify()

    def _obey_stops(self) -> None:
        # A cancel of ours is told in the words of rq's stop: what a beat that was sent later does
        # not bring as a cancel is rq's own.
        for name in [name for name, begun in self._stops.items() if begun < self._answered]:
            del self._stops[name]
            self._halt(name)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._steps.settings.heartbeat.total_seconds()):
                await self._asked.wait()
        except TimeoutError:
            pass
