"""Looks: one look at some environments, with all that comes of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from functools import partial

import structlog

from reuse_queue.broker.connection import Connection, Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.scaling import Scaling
from reuse_queue.broker.upkeep import Upkeep
from reuse_queue.facts import Decision, Host, Snapshot
from reuse_queue.scaler.outlook import Outlook
from reuse_queue.scaler.rounds import Rounds

log = structlog.get_logger()
_TIDY_EVERY_S = 1.0


class Looks:
    """Looks at environments for the scaler that leads by `token`."""

    def __init__(self, connection: Connection, token: str) -> None:
        self._connection = connection
        self._token = token
        keys, settings = connection.keys, connection.settings
        self._fleet = Fleet(keys, settings)
        self._scaling = Scaling(keys, settings)
        self._upkeep = Upkeep(keys, settings)
        self._tidying = Rounds(connection, "tidy")
        self._looking = Rounds(connection, "look")
        self._applying = Rounds(connection, "apply")
        self._outlook = Outlook(settings.start_timeout)
        self._tidied: dict[str, float] = {}
        self._said: dict[str, tuple[str, ...]] = {}

    def start_anew(self) -> None:
        """Forget what was seen: the lead was another's meanwhile."""
        self._outlook = Outlook(self._connection.settings.start_timeout)
        self._said.clear()

    def keep(self, names: Collection[str]) -> None:
        """Forget all environments but these."""
        self._outlook.keep(names)
        for known in (self._tidied.keys() | self._said.keys()) - set(names):
            self._tidied.pop(known, None)
            self._said.pop(known, None)

    async def survey(self, names: Sequence[str]) -> None:
        """Learn what places are taken, before the first of many environments gets a decision."""
        found = await self._looking.run({name: partial(self._glance, name, ()) for name in names})
        self._outlook.survey([each for each in found.values() if each is not None])

    async def look(self, names: Sequence[str]) -> set[str]:
        """Move what is due or orphaned, decide, and act; return where replicas were told anything.

        Raises:
            RedisUnavailable: Redis could not be reached.
            LeadLost: another scaler leads.
        """
        hosts = await self._connection.arun(self._fleet.hosts())
        await self._tidying.run({name: partial(self._tidy, name) for name in names})
        found = await self._looking.run(
            {name: partial(self._glance, name, hosts) for name in names}
        )
        seen = {name: each for name, each in found.items() if each is not None}
        decided = self._decide(hosts, list(seen.values()))
        news = {each.environment: each for each in decided if self._is_news(each, seen)}
        done = await self._applying.run(
            {name: partial(self._scaling.apply, self._token, each) for name, each in news.items()}
        )
        for name, count in done.items():
            self._note(news[name], count)
        return {name for name in done if news[name].changes}

    def _tidy(self, name: str) -> Step[None]:
        yield from self._upkeep.let_in(name)
        now = time.monotonic()
        if now - self._tidied.get(name, 0.0) >= _TIDY_EVERY_S:
            self._tidied[name] = now
            for replica in (yield from self._upkeep.tidy(name)):
                log.warning("replica lost: its lease ran out", environment=name, replica=replica)

    def _glance(self, name: str, hosts: Sequence[Host]) -> Step[Snapshot | None]:
        return self._scaling.glance(name, hosts, poke=True)

    def _decide(self, hosts: Sequence[Host], seen: Sequence[Snapshot]) -> list[Decision]:
        try:
            return self._outlook.decide(hosts, seen)
        except Exception:
            # What is in Redis may be anything: one by one, the sound ones get their decisions.
            log.exception("no decision", environments=[each.environment.name for each in seen])
        if len(seen) == 1:
            return []
        return [decided for each in seen for decided in self._decide(hosts, [each])]

    def _is_news(self, decided: Decision, seen: dict[str, Snapshot]) -> bool:
        record = seen[decided.environment].environment
        return (
            decided.changes
            or decided.state is not record.state
            or decided.degraded != record.degraded
            or _gist(decided) != self._said.get(decided.environment)
        )

    def _note(self, decided: Decision, count: int) -> None:
        facts = {
            "environment": decided.environment,
            "want": decided.want,
            "supply": decided.supply,
            "reason": decided.reason,
        }
        if decided.unschedulable:
            facts["unschedulable"] = decided.unschedulable
        if count:
            log.info("environment scaled", **facts)
        elif _gist(decided) != self._said.get(decided.environment):
            log.debug("environment held", **facts)
        if decided.degraded and decided.degraded != self._degraded(decided.environment):
            log.error("environment degraded", environment=decided.environment, why=decided.degraded)
        self._said[decided.environment] = _gist(decided)

    def _degraded(self, name: str) -> str:
        return self._said[name][-1] if name in self._said else ""


def _gist(decided: Decision) -> tuple[str, ...]:
    return (decided.state, decided.reason, decided.unschedulable, decided.degraded)
