"""StandIn: keeps work going while no scaler leads."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import structlog

from reuse_agent.link import Link
from reuse_queue.broker.connection import Step
from reuse_queue.broker.scaling import Scaling
from reuse_queue.broker.upkeep import Upkeep
from reuse_queue.errors import RedisRefused

log = structlog.get_logger()
_LOOK_S = 1.0
# A standby that takes over needs about as long.
_MISSES = 4


class StandIn:
    """Nothing is scaled without a scaler; but due jobs, and those of lost hosts, must not wait.

    Every agent does this for what it serves. Those that do it at the same time are in nobody's
    way.

    Args:
        link: the way to Redis.
        envs: what this host has served so far.
    """

    def __init__(self, link: Link, envs: Collection[str]) -> None:
        self._link = link
        self._envs = envs
        self._scaling = Scaling(link.connection.keys, link.settings)
        self._upkeep = Upkeep(link.connection.keys, link.settings)
        self._refused: set[str] = set()

    async def run(self) -> None:
        """Look for a leading scaler, and stand in where there is none, until canceled."""
        misses = 0
        while True:
            await asyncio.sleep(_LOOK_S)
            if await self._link.ask(self._scaling.led):
                if misses >= _MISSES:
                    log.info("a scaler leads again")
                misses = 0
                continue
            misses += 1
            if misses == _MISSES:
                log.warning("no scaler leads: nothing is scaled, due and lost jobs are seen to")
            if misses >= _MISSES:
                for env in sorted(self._envs):
                    await self._keep_up(env)

    async def _keep_up(self, env: str) -> None:
        try:
            lost = await self._link.ask(lambda: self._all_of(env), refusals=1)
        except RedisRefused as error:
            # Said once: what is in its way may stay there.
            if env not in self._refused:
                log.warning("redis refuses", environment=env, reason=str(error))
            self._refused.add(env)
            return
        self._refused.discard(env)
        for replica in lost:
            log.warning("replica lost: its lease ran out", environment=env, replica=replica)

    def _all_of(self, env: str) -> Step[list[str]]:
        yield from self._upkeep.let_in(env)
        return (yield from self._upkeep.tidy(env))
