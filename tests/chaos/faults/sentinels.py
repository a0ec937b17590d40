"""Faults of a primary that sentinels watch."""

from __future__ import annotations

import random
from dataclasses import dataclass

import redis

from chaos.faults import Fault, Harm
from chaos.fleet import Fleet
from chaos.servers import UnderSentinels
from support.eventually import eventually_sync
from support.server import RedisServer

_WITHIN_S = 60.0
_STILL_MS = 30_000


@dataclass(kw_only=True)
class FailOver(Fault):
    """kill -9 of the primary: its replica takes its place, and it comes back as that one's.

    The replica has all that the primary has answered: it takes no writes any more, which are held
    back until then. What a failover loses otherwise, nobody promises.
    """

    name = "SIGKILL of the primary, and a failover"
    uses = frozenset({"redis"})
    _old: RedisServer | None = None

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        servers = _of(fleet)
        if not _linked(servers):
            return None  # it is not back from the last time
        self._old = servers.now
        with self._old.client() as raw:
            raw.execute_command("CLIENT", "PAUSE", _STILL_MS, "WRITE")
        eventually_sync(lambda: _same(servers), within=_WITHIN_S, what="a replica that has it all")
        self._old.kill()
        return Harm(silence=True)

    def heal(self, fleet: Fleet) -> None:
        servers, old = _of(fleet), self._old
        assert old is not None
        eventually_sync(lambda: _replaced(servers, old), within=_WITHIN_S, what="a failover")
        old.restart()
        servers.follow(old)


def _of(fleet: Fleet) -> UnderSentinels:
    assert isinstance(fleet.servers, UnderSentinels)
    return fleet.servers


def _linked(servers: UnderSentinels) -> bool:
    with servers.standby.client() as raw:
        found = raw.info("replication")
    return bool(found["role"] == "slave" and found["master_link_status"] == "up")


def _replaced(servers: UnderSentinels, old: RedisServer) -> bool:
    try:
        return servers.now is not old
    except redis.RedisError:
        return False  # the sentinels are at it


def _same(servers: UnderSentinels) -> bool:
    with servers.now.client() as primary, servers.standby.client() as replica:
        offsets = [each.info("replication")["master_repl_offset"] for each in (primary, replica)]
    return len(set(offsets)) == 1
