"""redis-py's clients of one Redis, and their lines: blocking ones, and those of each loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import redis
import redis.asyncio

from reuse_queue.broker.lines import AsyncLines, Lines

REPLY_TIMEOUT_S = 15.0
"""A reply that takes longer than this is not coming: the connection is half-open."""
_CONNECT_TIMEOUT_S = 5

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
    """The clients of one URL, made when first used, and anew in a forked child.

    Each event loop has its own, which is closed when the loop ends as `asyncio.run` ends it:
    nobody has to remember that.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._held = _Held()

    def blocking(self) -> redis.Redis:
        """Return the blocking client."""
        held = self._of_this_process()
        if held.client is None:
            held.client = redis.Redis.from_url(
                self._url,
                socket_timeout=REPLY_TIMEOUT_S,
                socket_connect_timeout=_CONNECT_TIMEOUT_S,
                health_check_interval=0,
                retry=None,
            )
        return held.client

    def asynchronous(self) -> redis.asyncio.Redis:
        """Return the running loop's client."""
        return self._on_this_loop().client

    def lines(self) -> Lines:
        """Return the blocking client's lines."""
        held = self._of_this_process()
        if held.lines is None:
            held.lines = Lines(self.blocking())
        return held.lines

    def async_lines(self) -> AsyncLines:
        """Return the lines of the running loop's client."""
        return self._on_this_loop().lines

    def close(self) -> None:
        """Close the blocking client."""
        held = self._of_this_process()
        client, held.client, held.lines = held.client, None, None
        if client is not None:
            client.close()

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
            found = held.on_loops[loop] = _on_loop(self._url)
        return found

    def _of_this_process(self) -> _Held:
        if self._held.pid != os.getpid():
            # The parent's sockets are the parent's, and its loop's epoll is shared with us: even
            # to let its clients be collected would make the parent deaf to its own replies.
            _inherited.append(self._held)
            self._held = _Held()
        return self._held


def _on_loop(url: str) -> _OnLoop:
    # No socket_timeout (redis-py's default would be 5 s, just what a wait for a job takes): there
    # is a deadline for every reply.
    client = redis.asyncio.Redis.from_url(
        url,
        socket_timeout=None,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        health_check_interval=0,
        retry=None,
    )
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
        await client.aclose()
