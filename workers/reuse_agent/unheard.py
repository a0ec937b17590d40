"""Unheard: ends jobs that are canceled and whose code keeps their replica from hearing of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from reuse_agent.link import Link
from reuse_agent.supervisor import Supervisor
from reuse_queue.errors import RedisRefused

_LOOK_S = 0.5


class Unheard:
    """A replica obeys on its event loop, and a job that blocks that is not told of its own cancel.

    So its agent, which sees on the board whose code the loop runs, asks what is ordered, and does
    what it does where a canceled job has been told and does not give way. Redis is asked only
    while some code blocks a loop.

    Args:
        link: the way to Redis.
        supervisor: knows, and kills, the replicas.
    """

    def __init__(self, link: Link, supervisor: Supervisor) -> None:
        self._link = link
        self._supervisor = supervisor
        self._grace_s = link.settings.kill_grace.total_seconds()
        self._since: dict[str, float] = {}
        """Execution → when it was first seen to block its loop though it was canceled."""

    async def run(self) -> None:
        """Look, and end what does not give way, until canceled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            blocked = self._supervisor.blocked()
            known = {execution for _, execution in blocked.values()}
            self._since = {each: at for each, at in self._since.items() if each in known}
            for name, (env, execution) in blocked.items():
                if execution in await self._canceled(env, name):
                    self._see_to(name, execution)

    async def _canceled(self, env: str, name: str) -> Collection[str]:
        try:
            return await self._link.ask(lambda: self._link.fleet.cancels(env, name), refusals=1)
        except RedisRefused:
            return ()  # somebody else's key: whoever beats there says so

    def _see_to(self, name: str, execution: str) -> None:
        now = time.monotonic()
        if now - self._since.setdefault(execution, now) >= self._grace_s:
            self._supervisor.end_blocker(name, execution)
