"""redis-py's clients of one Redis, and their lines: blocking ones, and those of each loop.

Where sentinels know the primary, every new connection asks them for it first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel

from reuse_queue.broker.address import Address
from reuse_queue.broker.lines import AsyncLines, Lines

REPLY_TIMEOUT_S = 15.0
"""A reply that takes longer than this is not coming: the connection is half-open."""
_CONNECT_TIMEOUT_S = 5
_MOST_THREADS = 10_000
# Of several sentinels any one will do: the next is asked soon.
_SENTINEL_TIMEOUT_S = 1.0

_inherited: list[object] = []


@dataclass(frozen=True, slots=True)
class _OnLoop:
    client: redis.asyncio.Redis
    lines: AsyncLines
    until_end: AsyncGenerator[None, None]


@dataclass(slots=True)
class _Held:
    """What belongs to one process."""

    pid: int = field(default_factory=os.getpid)
    client: redis.Redis | None = None
    lines: Lines | None = None
    on_loops: dict[asyncio.AbstractEventLoop, _OnLoop] = field(default_factory=dict)


class Clients:
    """The clients of one address, made when first used, and anew in a forked child.

    Each event loop has its own, which is closed when the loop ends as `asyncio.run` ends it:
    nobody has to remember that.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._held = _Held()

    def blocking(self) -> redis.Redis:
        """Return the blocking client."""
        held = self._of_this_process()
        if held.client is None:
            held.client = _blocking(self._address)
        return held.client

    def asynchronous(self) -> redis.asyncio.Redis:
        """Return the running loop's client."""
        return self._on_this_loop().client

    @contextlib.contextmanager
    def standbys(self) -> Iterator[dict[str, redis.Redis]]:
        """Yield clients of the replicas that the sentinels know, by HOST:PORT; none without these.

        Raises:
            RedisError: no sentinel could be asked.
        """
        found = _standbys(self._address, _sentinels_of(self.blocking()))
        try:
            yield found
        finally:
            for each in found.values():
                each.close()

    def lines(self) -> Lines:
        """Return the blocking client's lines."""
        held = self._of_this_process()
        if held.lines is None:
            held.lines = Lines(self.blocking())
        return held.lines

    def async_lines(self) -> AsyncLines:
        """Return the lines of the running loop's client."""
        return self._on_this_loop().lines

    async def refresh(self) -> None:
        """Cut all connections of the running loop's client, also where somebody waits for them."""
        with contextlib.suppress(redis.RedisError, OSError):
            await self.asynchronous().connection_pool.disconnect(inuse_connections=True)

    def close(self) -> None:
        """Close the blocking client."""
        held = self._of_this_process()
        client, lines, held.client, held.lines = held.client, held.lines, None, None
        if lines is not None:
            lines.close()
        if client is not None:
            for each in (client, *_sentinels_of(client)):
                each.close()

    async def aclose(self) -> None:
        """Close the running loop's client, and the blocking one."""
        found = self._of_this_process().on_loops.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found.until_end.aclose()
        self.close()

    def _on_this_loop(self) -> _OnLoop:
        held, loop = self._of_this_process(), asyncio.get_running_loop()
        found = held.on_loops.get(loop)
        if found is None:
            for each in [other for other in held.on_loops if other.is_closed()]:
                held.on_loops.pop(each, None)
            found = held.on_loops[loop] = _on_loop(self._address)
        return found

    def _of_this_process(self) -> _Held:
        if self._held.pid != os.getpid():
            # The parent's sockets are the parent's, and its loop's epoll is shared with us: even
            # to let its clients be collected would make the parent deaf to its own replies.
            _inherited.append(self._held)
            self._held = _Held()
        return self._held


def _blocking(address: Address) -> redis.Redis:
    # One for each thread that asks at the same time, however many threads there are.
    options = _options(address, REPLY_TIMEOUT_S) | {"max_connections": _MOST_THREADS}
    if not address.sentinels:
        return redis.Redis.from_url(address.url, **options)
    manager: Any = redis.sentinel.Sentinel  # it has no types
    client: redis.Redis = manager(
        address.sentinels, sentinel_kwargs=_sentinel_options(address), **options | address.options
    ).master_for(address.service)
    return client


def _asynchronous(address: Address) -> redis.asyncio.Redis:
    # No socket_timeout (redis-py's default would be 5 s, just what a wait for a job takes): there
    # is a deadline for every reply.
    options = _options(address, None)
    if not address.sentinels:
        return redis.asyncio.Redis.from_url(address.url, **options)
    manager: Any = redis.asyncio.sentinel.Sentinel  # it has no types
    client: redis.asyncio.Redis = manager(
        address.sentinels, sentinel_kwargs=_sentinel_options(address), **options | address.options
    ).master_for(address.service)
    return client


def _options(address: Address, timeout_s: float | None) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": _CONNECT_TIMEOUT_S,
        "health_check_interval": 0,
        "retry": None,
    }
    if not address.is_local:
        options["socket_keepalive"] = True
        options["socket_keepalive_options"] = _keepalive()
    return options


def _sentinel_options(address: Address) -> dict[str, Any]:
    timeouts = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), _SENTINEL_TIMEOUT_S)
    return {**timeouts, "retry": None, **address.sentinel_options}


def _keepalive() -> dict[int, int]:
    """Return how the system finds out that nobody is at the other end any more."""
    if sys.platform != "linux":
        return {}
    return {
        socket.TCP_KEEPIDLE: 10,
        socket.TCP_KEEPINTVL: 5,
        socket.TCP_KEEPCNT: 2,
        # Of what was sent and is not confirmed; a system waits for a quarter of an hour.
        socket.TCP_USER_TIMEOUT: round(REPLY_TIMEOUT_S * 1000),
    }


def _sentinels_of(client: Any) -> list[Any]:
    """Return the clients of the sentinels that a client of the primary asks."""
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    return [] if manager is None else list(manager.sentinels)


def _standbys(address: Address, sentinels: list[Any]) -> dict[str, redis.Redis]:
    options = _options(address, _SENTINEL_TIMEOUT_S) | address.options
    options["socket_connect_timeout"] = _SENTINEL_TIMEOUT_S
    while sentinels:
        try:
            known = sentinels.pop(0).sentinel_slaves(address.service)
        except (redis.RedisError, OSError):
            if not sentinels:
                raise
            continue
        places = sorted((each["ip"], each["port"]) for each in known)
        return {f"{ip}:{port}": redis.Redis(host=ip, port=port, **options) for ip, port in places}
    return {}


def _on_loop(address: Address) -> _OnLoop:
    client = _asynchronous(address)
    until_end = _closing(client)
    # Its first step, which awaits nothing, makes the loop know it: a loop that ends closes the
    # asynchronous generators that began on it.
    with contextlib.suppress(StopIteration):
        until_end.asend(None).send(None)
    return _OnLoop(client, AsyncLines(client), until_end)


async def _closing(client: redis.asyncio.Redis) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        for each in (client, *_sentinels_of(client)):
            await each.aclose()
