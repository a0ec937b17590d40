"""Ends: replicas that have ended here, reported to Redis, however long that takes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from reuse_agent.link import Link
from reuse_queue.broker import codec
from reuse_queue.broker.connection import Step, command
from reuse_queue.broker.keys import Keys
from reuse_queue.broker.lease import Leases
from reuse_queue.facts import Death, Replica, ReplicaState
from reuse_queue.job import Verdict

log = structlog.get_logger()
_REFUSALS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """How a replica ended."""

    replica: Replica
    """As last read."""
    cause: str
    detail: str = ""
    charged: Mapping[str, Verdict | None] | None = field(default_factory=dict)
    """Executions that it is charged to → the verdict on each; None: it is not known what ran."""
    unbegun: Sequence[str] = ()
    """Executions that it held and had certainly not begun."""
    age: timedelta = timedelta(0)
    asked: bool = False
    """It was told to end, whatever became of it."""
    orderly: bool = False
    """It left by itself, with nothing running."""


class Ends:
    """Takes ended replicas off the books, one after another, with what they held.

    When Redis is away the ends are kept, and reported when it is back.

    Attributes:
        reported: names reported since this was last cleared.
    """

    def __init__(self, link: Link) -> None:
        self.reported: set[str] = set()
        self._link = link
        self._todo: deque[End] = deque()
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()

    @property
    def names(self) -> set[str]:
        """The replicas whose ends are not reported yet."""
        return {end.replica.name for end in self._todo}

    def add(self, end: End) -> None:
        """Report an end soon."""
        self._todo.append(end)
        self._none.clear()
        self._some.set()

    async def none(self) -> None:
        """Return when all are reported."""
        await self._none.wait()

    async def run(self) -> None:
        """Report until canceled."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._todo:
                await self._report(self._todo[0])
                self.reported.add(self._todo.popleft().replica.name)
            self._none.set()

    # ---------------------------------------------------------------------------------------

    async def _report(self, end: End) -> None:
        try:
            await self._take_off(end)
        except Exception:
            # Its lease will run out.
            log.exception("end of a replica not reported", replica=end.replica.name)

    async def _take_off(self, end: End) -> None:
        link, env, name = self._link, end.replica.environment, end.replica.name
        books = await link.ask(lambda: link.fleet.assigned(link.settings.host, [env]))
        fresh = next((replica for replica in books if replica.name == name), None)
        if fresh is None:
            return  # it was reclaimed, or never more than ordered
        charged = end.charged
        if charged is None:
            charged = dict.fromkeys(await link.ask(lambda: _held(link.connection.keys, name)))
        leaving = fresh.state in (ReplicaState.DRAINING, ReplicaState.STOPPING)
        asked = end.asked or (end.orderly and leaving)
        leases = Leases(link.connection.keys, env, link.settings)
        jobs = await link.ask(
            lambda: leases.end_replica(
                _death(end, fresh), charged, unbegun=end.unbegun, asked=asked
            ),
            refusals=_REFUSALS,
        )
        tell = log.info if asked else log.warning
        tell(
            "replica off the books",
            environment=env,
            replica=name,
            cause=end.cause,
            jobs_returned=jobs,
        )


def _death(end: End, fresh: Replica) -> Death:
    return Death(
        replica=fresh.name,
        host=fresh.host,
        version=fresh.version,
        at=datetime.now(UTC),
        cause=end.cause,
        was_ready=fresh.ready_at is not None,
        age=end.age,
        detail=end.detail,
        held=fresh.held,
    )


def _held(keys: Keys, replica: str) -> Step[list[str]]:
    """Return the executions that a replica holds."""
    members = yield command("SMEMBERS", keys.worker_executions(replica))
    return [codec.name(member).rpartition(":")[2] for member in members]
