"""Renewal: the leases of the replicas here, whatever their jobs let them do themselves."""

from __future__ import annotations

import asyncio
import time

import structlog

from reuse_agent.link import Link
from reuse_agent.supervisor import Supervisor
from reuse_queue.broker.lease import Leases
from reuse_queue.errors import RedisRefused

log = structlog.get_logger()


class Renewal:
    """Renews, and shows each replica on its board when: one whose loop a job blocks can't ask.

    Args:
        link: the way to Redis.
        supervisor: knows which replicas live.
    """

    def __init__(self, link: Link, supervisor: Supervisor) -> None:
        self._link = link
        self._supervisor = supervisor
        # Where Redis refuses.
        self._unrenewed = set[str]()

    async def run(self) -> None:
        """Renew until canceled."""
        every = self._link.settings.lease / 6
        while True:
            for env in self._supervisor.alive():
                await self._renew_in(env)
            await asyncio.sleep(every.total_seconds())

    async def _renew_in(self, env: str) -> None:
        leases = Leases(self._link.connection.keys, env, self._link.settings)
        alive, others = self._supervisor.alive().get(env, []), self._unrenewed - {env}
        sent = time.monotonic()
        # Refused, it is tried again in time: the leases of other environments must not wait.
        try:
            kept = await self._link.ask(lambda: leases.renew(alive), refusals=1)
        except RedisRefused as error:
            if env not in self._unrenewed:
                log.warning("redis refuses to renew", environment=env, reason=str(error))
            others |= {env}
        else:
            self._supervisor.renewed([n for n, k in zip(alive, kept, strict=True) if k], sent)
        if env in self._unrenewed - others:
            log.info("redis reached again", environment=env)
        self._unrenewed = others
