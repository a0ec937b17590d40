"""What a Redis server is like, and whether a queue is safe on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis

from reuse_queue.broker import codec
from reuse_queue.broker.connection import Connection, Step, command
from reuse_queue.broker.keys import Keys
from reuse_queue.broker.troubles import FOREIGN, translated
from reuse_queue.embedded import FLOORS
from reuse_queue.errors import UnsupportedRedis

_REGISTRIES = ("wip", "finished", "failed", "deferred", "scheduled", "canceled", "ready")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerFacts:
    """One Redis server, as it describes itself, and what it knows of a fleet."""

    at: datetime
    """Its clock."""
    product: str = "Redis"
    version: str = ""
    eviction: str = "noeviction"
    append_only: bool = True
    saved_at: datetime | None = None
    """When the last snapshot was written; None: never since it started."""
    cluster: bool = False
    role: str = "master"
    used_memory: int = 0
    max_memory: int = 0
    """Bytes; 0 for no limit."""
    leader: bool = False
    """Whether a scaler leads now."""
    environments: tuple[str, ...] = ()
    queues: Mapping[str, int] = field(default_factory=dict)
    """Every queue that rq or we ever made: how many jobs wait in it."""
    prefix: str = "rq"
    """What all keys of rq begin with."""
    wrong_keys: Mapping[str, str] = field(default_factory=dict)
    """Keys that hold something else than they should: what they are, and should be."""


def probe(keys: Keys) -> Step[ServerFacts]:
    """Return what a server is like and what it holds of queues; two round trips."""
    info, clock, leader, environments, queues = yield [
        command("INFO"),
        command("TIME"),
        command("EXISTS", keys.leader()),
        command("SMEMBERS", keys.environments()),
        command("SMEMBERS", keys.queues()),
    ]
    names = sorted({_text(each).removeprefix(keys.queue("")) for each in queues})
    wrong = yield from _wrong_keys(keys, sorted({*names, *map(_text, environments)}))
    sound = [name for name in names if keys.queue(name) not in wrong]
    lengths = yield [command("LLEN", keys.queue(name)) for name in sound]
    return ServerFacts(
        at=datetime.fromtimestamp(clock[0] + clock[1] / 1e6, UTC),
        prefix=keys.prefix,
        leader=bool(leader),
        environments=tuple(sorted(_text(each) for each in environments)),
        queues=dict(zip(sound, lengths, strict=True)),
        wrong_keys=wrong,
        **_described(info),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Standby:
    """A server that sentinels may make the primary."""

    name: str
    facts: ServerFacts | None = None
    """None: it could not be asked."""
    in_step: bool = False
    """Whether it follows the primary now."""
    trouble: str = ""
    """Why it could not be asked."""


def standbys(connection: Connection) -> list[Standby]:
    """Return what the replicas are like that sentinels watch; none where there are no sentinels.

    Raises:
        RedisUnavailable: no sentinel could be asked.
    """
    try:
        with connection.clients.standbys() as clients:
            return [_standby(name, client) for name, client in clients.items()]
    except FOREIGN as error:
        raise translated(error, str(connection)) from error


def _standby(name: str, client: redis.Redis) -> Standby:
    try:
        info: Any = client.info()
    except FOREIGN as error:
        return Standby(name=name, trouble=str(error))
    in_step = info.get("master_link_status", "up") == "up"
    facts = ServerFacts(at=datetime.now(UTC), **_described(info))
    return Standby(name=name, facts=facts, in_step=in_step)


def _wrong_keys(keys: Keys, names: Sequence[str]) -> Step[dict[str, str]]:
    """Return the keys of queues and environments that are of another type than they should be."""
    wanted = {keys.hosts(): "zset", keys.environments(): "set", keys.queues(): "set"}
    for name in names:
        wanted |= dict.fromkeys((keys.queue(name), keys.urgent(name)), "list")
        own = (keys.held(name), keys.replicas(name), keys.ended(name), keys.versions(name))
        registries = (keys.registry(kind, name) for kind in _REGISTRIES)
        wanted |= dict.fromkeys((*own, keys.limits(name), *registries), "zset")
        wanted |= dict.fromkeys((keys.deaths(name), keys.decisions(name)), "stream")
        wanted |= {keys.environment(name): "hash", keys.workers_of(name): "set"}
    found = yield [command("TYPE", key) for key in wanted]
    return {
        key: f"is a {_text(kind)} and should be a {wanted[key]}"
        for key, kind in zip(wanted, found, strict=True)
        if _text(kind) not in {"none", wanted[key]}
    }


def supported(keys: Keys) -> Step[ServerFacts]:
    """Return the facts about a server that can keep a queue safely.

    Raises:
        UnsupportedRedis: it cannot; the message says why and what to change.
    """
    facts = yield from probe(keys)
    reason = refusal(facts)
    if reason:
        raise UnsupportedRedis(reason)
    return facts


def refusal(facts: ServerFacts) -> str:
    """Return why a queue must not be kept on this server, or an empty text."""
    floor = FLOORS[facts.product]
    if _numbers(facts.version) < floor:
        return (
            f"this is {facts.product} {facts.version}: reuse_queue needs Redis 7.0 or Valkey 7.2, "
            "or a later one"
        )
    if facts.eviction != "noeviction":
        return (
            f"this server's maxmemory-policy is {facts.eviction}: when memory is short it deletes "
            "queued jobs. Set it to noeviction (CONFIG SET maxmemory-policy noeviction, and in "
            "the server's configuration)"
        )
    return ""


def _described(info: Mapping[str, Any]) -> dict[str, Any]:
    # Valkey calls itself Redis 7.2.4 in redis_version, for clients that know no other.
    valkey = info.get("valkey_version")
    started = info.get("rdb_last_save_time", 0) if info.get("rdb_saves") else 0
    return {
        "product": "Valkey" if valkey else "Redis",
        "version": str(valkey or info.get("redis_version", "0")),
        "eviction": str(info.get("maxmemory_policy", "noeviction")),
        "append_only": bool(info.get("aof_enabled")),
        "saved_at": datetime.fromtimestamp(started, UTC) if started else None,
        "cluster": bool(info.get("cluster_enabled")),
        "role": str(info.get("role", "master")),
        "used_memory": int(info.get("used_memory", 0)),
        "max_memory": int(info.get("maxmemory", 0)),
    }


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _text(raw: bytes | str) -> str:
    return codec.name(raw) if isinstance(raw, bytes) else raw
