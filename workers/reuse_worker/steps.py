"""Steps: one replica's way to Redis."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from importlib.metadata import version

from reuse_queue.broker.connection import Connection, Step
from reuse_queue.broker.fleet import Beat, Fleet
from reuse_queue.broker.lease import Leases, new_token
from reuse_queue.broker.queue import JobQueue
from reuse_queue.facts import DrainReason
from reuse_queue.job import Claim, Outcome, Recorded


class Steps:
    """The broker's steps for one replica of one environment, each run when called.

    Made on the loop that it is used on.

    Every method raises RedisUnavailable when Redis cannot be reached. `claiming` hears the token of
    each claim before it is sent.
    """

    def __init__(
        self, connection: Connection, env: str, replica: str, claiming: Callable[[str], None]
    ) -> None:
        self.connection = connection
        self.settings = connection.settings
        self.env = env
        self.replica = replica
        self._claiming = claiming
        self.away: Callable[[], int] = lambda: 0
        """Says how many of the replica's jobs only wait for others."""
        self._probe = connection.probe()
        self._fleet = Fleet(connection.keys, connection.settings)
        self._queue = JobQueue(connection.keys)
        self._leases = Leases(connection.keys, env, connection.settings)

    async def register(self, patience: timedelta) -> bool:
        """Say that this process is the replica; False: it is not wanted."""
        details = {
            "hostname": self.settings.host,
            "python_version": platform.python_version(),
            "version": rq_version(),
        }
        step = self._fleet.register(self.env, self.replica, os.getpid(), details)
        return await self.connection.arun(step, patience=patience)

    async def ready(self) -> bool:
        """Say that this replica can take jobs; False: it may not."""
        return await self.connection.arun(self._fleet.ready(self.env, self.replica))

    async def beat(self) -> Beat:
        """Extend the replica's lease and bring its orders."""
        step = self._fleet.beat(self.env, self.replica, self.away())
        return await self.connection.arun(step, lines=self._probe)

    async def refresh(self) -> None:
        """Let all steps that wait for Redis fail and begin anew: some may wait where nobody is."""
        await self.connection.refresh()

    async def drain(self) -> bool:
        """Say that this replica drains because its host wants it to end."""
        step = self._fleet.drain(self.env, self.replica, DrainReason.HOST)
        return await self.connection.arun(step)

    async def depart(self) -> bool:
        """Leave for good, if the drain still stands."""
        return await self.connection.arun(self._fleet.depart(self.env, self.replica))

    async def wait(self, at_most: timedelta, count: int) -> Claim:
        """Wait for a job, then claim up to `count` of them."""
        token, away = self._token(), self.away()
        step = self._leases.wait_and_claim(self.replica, at_most, count, token, away)
        return await self._claimed(step)

    async def claim(self, count: int, *, urgent_only: bool = False) -> Claim:
        """Claim up to `count` jobs, all or only urgent ones."""
        token, away = self._token(), self.away()
        step = self._leases.claim(self.replica, count, token, away, urgent_only=urgent_only)
        return await self._claimed(step)

    def _token(self) -> str:
        token = new_token()
        self._claiming(token)
        return token

    async def _claimed(self, step: Step[Claim]) -> Claim:
        """Return a claim, with its jobs' signatures where there are keys to check them."""
        claim = await self.connection.arun(step)
        if self.settings.signing_keys:
            # If this is not answered, what was claimed is not known here, and so given back.
            claim = await self.connection.arun(self._leases.signed(claim))
        return claim

    async def finish(self, outcomes: Sequence[Outcome]) -> list[Recorded]:
        """Record outcomes."""
        return await self.connection.arun(self._leases.finish(self.replica, outcomes))

    async def fell(self) -> None:
        """Cancel what canceled jobs of the environment have enqueued."""
        await self.connection.arun(self._queue.fell(self.env))

    async def release(self, known: Sequence[str]) -> int:
        """Give back all that the replica holds except the known executions; return how many."""
        return await self.connection.arun(self._leases.release(self.replica, known=known))


@cache
def rq_version() -> str:
    """Return the release of rq whose format is spoken here, looked up once for all forks."""
    return version("rq")
