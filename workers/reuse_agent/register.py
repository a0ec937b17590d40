"""Register: keeps this host, what it offers and what is broken on it, on the books."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from reuse_agent import identity
from reuse_agent.identity import Presence
from reuse_agent.link import Link
from reuse_agent.target import Target
from reuse_queue.broker.scaling import Scaling
from reuse_queue.errors import HostTaken, NewerFormat, RedisRefused, UnknownEnvironment
from reuse_queue.facts import EnvironmentRecord, Host

log = structlog.get_logger()
_LOOK_S = 0.2


class Register:
    """This host's record, written anew every sixth of its lease and at every change."""

    def __init__(self, link: Link, targets: Sequence[Target], max_replicas: int) -> None:
        self.draining = False
        self._link = link
        self._targets = targets
        self._max_replicas = max_replicas
        self._me = identity.mine()
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._left = False
        self._announced: dict[str, tuple[EnvironmentRecord, str]] = {}
        self._withheld: dict[str, str] = {}
        """Environments that a newer release has announced: what this host offers is not for it."""
        self._refused: dict[str, str] = {}

    def changed(self) -> None:
        """Write the record soon."""
        self._news.set()

    async def take_name(self) -> None:
        """Put this host on the books, in place of an agent before it that is gone.

        Raises:
            HostTaken: another agent lives under its name.
        """
        told = False
        lasts_s = self._link.settings.lease.total_seconds() * 1.5
        gives_up = asyncio.get_running_loop().time() + lasts_s
        takeover = False
        while not await self._written(takeover=takeover):
            agent = await self._other()
            found = identity.presence(agent)
            if found is Presence.GONE:
                takeover = True
                log.info("taking over from an agent that is gone", agent=agent)
                continue
            if found is Presence.ALIVE or asyncio.get_running_loop().time() > gives_up:
                raise HostTaken(
                    f"another agent ({agent}) runs as host {self._host!r}: stop it, or give this "
                    "one a name of its own with --host"
                )
            if not told:
                told = True
                log.warning("host name still leased to an agent elsewhere", agent=agent)
            await asyncio.sleep(_LOOK_S)

    async def run(self) -> None:
        """Keep the record fresh until canceled.

        Raises:
            HostTaken: another agent has taken the name, after this one had been away for long.
        """
        every = self._link.settings.lease / 6
        while True:
            self._news.clear()
            await self.write()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every.total_seconds()):
                    await self._news.wait()

    async def write(self) -> None:
        """Write the record, and first what is new of the environments.

        Raises:
            HostTaken: the name is another agent's now.
        """
        async with self._turn:
            if self._left:
                return
            await self._announce()
            if not await self._written():
                raise HostTaken(f"another agent has taken the name of host {self._host!r}")

    async def leave(self) -> None:
        """Take this host off the books; what is just being written must not put it there again."""
        async with self._turn:
            self._left = True
            await self._link.ask(lambda: self._link.fleet.host_gone(self._host, self._me))

    # ---------------------------------------------------------------------------------------

    @property
    def _host(self) -> str:
        return self._link.settings.host

    async def _announce(self) -> None:
        # A Redis that was emptied, or went back in time, has to be told again.
        known = await self._link.ask(self._link.fleet.environments)
        for target in self._targets:
            record, version = target.record, target.version
            if record is None:
                continue
            told = record.name in known and self._announced.get(target.name) == (record, version)
            if not told and await self._announce_one(record, version):
                self._announced[target.name] = record, version

    async def _announce_one(self, record: EnvironmentRecord, version: str) -> bool:
        """Announce an environment; one whose record is not to be written must not cost the rest."""
        name = record.name
        try:
            await self._link.ask(lambda: self._link.fleet.announce(record, version), refusals=1)
        except (NewerFormat, RedisRefused) as error:
            if self._refused.get(name) != str(error):
                log.warning("environment not announced", environment=name, reason=str(error))
            self._refused[name] = str(error)
            if isinstance(error, NewerFormat):
                self._withheld[name] = str(error)
            return False
        self._refused.pop(name, None)
        self._withheld.pop(name, None)
        return True

    async def _written(self, *, takeover: bool = False) -> bool:
        broken = {
            target.environment or await self._known(target.name): target.broken
            for target in self._targets
            if target.broken
        } | self._withheld
        host = Host(
            name=self._host,
            agent=self._me,
            max_replicas=self._max_replicas,
            offers={
                target.environment: target.version
                for target in self._targets
                if target.version and target.environment not in self._withheld
            },
            draining=self.draining,
            broken=broken,
        )
        return await self._link.ask(lambda: self._link.fleet.host_sync(host, takeover=takeover))

    async def _other(self) -> str:
        hosts = await self._link.ask(self._link.fleet.hosts)
        return next((host.agent for host in hosts if host.name == self._host), "")

    async def _known(self, target: str) -> str:
        """Return the environment that a target was announced with before, else the target."""
        scaling = Scaling(self._link.connection.keys, self._link.settings)
        module = target.partition(":")[0]
        for name in await self._link.ask(self._link.fleet.environments):
            record = await self._record(scaling, name)
            if record is not None and (record.target == target or record.module == module):
                return name
        return target

    async def _record(self, scaling: Scaling, env: str) -> EnvironmentRecord | None:
        try:
            snapshot = await self._link.ask(lambda: scaling.snapshot(env, poke=False), refusals=1)
        except (UnknownEnvironment, NewerFormat, RedisRefused):
            return None
        return snapshot.environment
