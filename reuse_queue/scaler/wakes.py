"""Wakes: which environments ask to be looked at, and how soon."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

_SHORTEST_S = 0.01


@dataclass(slots=True)
class Wakes:
    """Environments with news; many wakes for one are one look.

    The first look comes at once. Where looks lead to nothing, the gap to the next one doubles up
    to `longest_s`: a busy environment has news all the time.
    """

    longest_s: float
    _woken: set[str] = field(default_factory=set)
    _not_before: dict[str, float] = field(default_factory=dict)
    _gaps: dict[str, float] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, env: str) -> None:
        """Ask for a look at an environment."""
        self._woken.add(env)
        self._news.set()

    def looked(self, env: str, *, changed: bool) -> None:
        """Take note of a look that a wake led to."""
        before = self._gaps.get(env, 0.0)
        gap = _SHORTEST_S if changed else min(max(before * 2, _SHORTEST_S), self.longest_s)
        self._gaps[env] = gap
        self._not_before[env] = time.monotonic() + gap

    def rest(self) -> None:
        """Take note of a look at all environments: their wakes so far are served."""
        self._woken.clear()
        self._not_before.clear()
        self._gaps.clear()

    async def due(self, until: float) -> set[str]:
        """Wait for environments to look at; none when `until` (monotonic) comes first."""
        while True:
            now = time.monotonic()
            ready = {each for each in self._woken if self._not_before.get(each, 0.0) <= now}
            if ready or now >= until:
                self._woken -= ready
                return ready
            self._news.clear()
            soonest = min((self._not_before[each] for each in self._woken), default=until)
            try:
                async with asyncio.timeout(min(soonest, until) - now):
                    await self._news.wait()
            except TimeoutError:
                pass
