"""Lines: connections of redis-py's that stay taken out of their pool from request to request.

redis-py's own way from a command to its reply (a pool's lock, twice; its retries; metrics of every
move) takes longer than Redis and the network together: see docs/performance.md.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import hiredis
import redis
import redis.asyncio
from redis.exceptions import RedisError

from reuse_queue.errors import RedisUnavailable

MOST_AT_ONCE = 50
"""Requests that one event loop sends at the same time; the pools end at a hundred connections."""
_CLOSED = "the connection to Redis was closed here"
Words: TypeAlias = "tuple[str | bytes | int | float, ...]"


class Exchange(Protocol):
    """Sends commands and brings their replies, blocking."""

    def exchange(self, commands: Sequence[Words]) -> list[Any]:
        """Return the replies to commands sent in one write; a refusal as its ResponseError."""

    def drop(self) -> None:
        """Let what nobody uses begin anew: over another connection, perhaps to another server."""


class Lines:
    """The blocking lines of one client: one for each thread that asks at the same time.

    Args:
        client: whose pool makes the connections; closing it closes them.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        # Taking from a deque and adding to it are atomic: threads need no lock.
        self._free: deque[Any] = deque()
        self._closed = threading.Event()

    def close(self) -> None:
        """Open none anew, whoever still asks over these: their client is about to be closed."""
        self._closed.set()

    def exchange(self, commands: Sequence[Words]) -> list[Any]:
        """Return the replies to commands sent in one write; a refusal as its ResponseError.

        Raises:
            RedisUnavailable: the lines are closed.
        """
        if self._closed.is_set():
            raise RedisUnavailable(_CLOSED)
        try:
            replies = self._exchanged(commands)
        except Exception as error:
            # What redis-py raises where another thread closes a connection in use is no one thing.
            if self._closed.is_set():
                # A pool takes back what failed as it was made, connected or not.
                self._client.connection_pool.disconnect()
                raise RedisUnavailable(_CLOSED) from error
            raise
        if self._closed.is_set():  # meanwhile: nobody else would close what was used here
            self.drop()
        return replies

    def drop(self) -> None:
        """Let all lines that nobody uses begin anew."""
        while (line := self._pop()) is not None:
            self._give_up(line)

    def _exchanged(self, commands: Sequence[Words]) -> list[Any]:
        line = self._take()
        try:
            line.send_packed_command(_packed(commands))
            replies = [self._reply(line, words[0]) for words in commands]
        except BaseException:
            # What is still to come would be taken for the reply to the next request.
            self._give_up(line)
            raise
        self._free.append(line)
        return replies

    def _take(self) -> Any:
        while (line := self._pop()) is not None:
            try:
                stale = line.can_read()
            except (RedisError, OSError):
                stale = True
            if not stale:
                return line
            self._give_up(line)  # the server has hung up
        return self._client.connection_pool.get_connection()

    def _pop(self) -> Any:
        try:
            return self._free.pop()
        except IndexError:
            return None

    def _give_up(self, line: Any) -> None:
        # Its pool connects it anew: only a pool asks where the server is now.
        line.disconnect()
        self._client.connection_pool.release(line)

    def _reply(self, line: Any, verb: object) -> Any:
        try:
            return self._client.parse_response(line, verb)  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            return error


class AsyncLines:
    """The lines of one event loop's client: one for each request that waits at the same time.

    Of very many that do, some wait for a line first.
    """

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client = client
        self._free: list[Any] = []
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    async def exchange(self, commands: Sequence[Words]) -> list[Any]:
        """Return the replies to commands sent in one write; a refusal as its ResponseError."""
        async with self._turns:
            return await self._exchanged(commands)

    async def _exchanged(self, commands: Sequence[Words]) -> list[Any]:
        line = await self._take()
        try:
            await line.send_packed_command(_packed(commands))
            replies = [await self._reply(line, str(words[0])) for words in commands]
        except BaseException:
            await self._give_up(line)
            raise
        self._free.append(line)
        return replies

    async def drop(self) -> None:
        """Let all lines that nobody uses begin anew."""
        while self._free:
            await self._give_up(self._free.pop())

    async def _take(self) -> Any:
        while self._free:
            line = self._free.pop()
            if not await _stale(line):
                return line
            await self._give_up(line)
        return await self._client.connection_pool.get_connection()  # type: ignore[no-untyped-call]

    async def _give_up(self, line: Any) -> None:
        await line.disconnect(nowait=True)
        await self._client.connection_pool.release(line)

    async def _reply(self, line: Any, verb: str) -> Any:
        try:
            return await self._client.parse_response(line, verb)
        except redis.ResponseError as error:
            return error


class Borrowed:
    """Somebody's own client, asked in its own way: its pool is not ours to keep connections of."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def exchange(self, commands: Sequence[Words]) -> list[Any]:
        """Return the replies to commands; a refusal as its ResponseError."""
        if len(commands) == 1:
            try:
                reply = self._client.execute_command(*commands[0])  # type: ignore[no-untyped-call]
            except redis.ResponseError as error:
                reply = error
            return [reply]
        with self._client.pipeline(transaction=False) as pipe:
            for words in commands:
                pipe.execute_command(*words)  # type: ignore[no-untyped-call]
            return pipe.execute(raise_on_error=False)

    def drop(self) -> None:
        """Let all connections that nobody uses begin anew."""
        self._client.connection_pool.disconnect(inuse_connections=False)


def _packed(commands: Sequence[Words]) -> list[bytes]:
    # hiredis itself: redis-py's packer looks at every word in Python first.
    try:
        return [b"".join(hiredis.pack_command(_apart(words)) for words in commands)]
    except UnicodeEncodeError:
        return [b"".join(hiredis.pack_command(_escaped(_apart(words))) for words in commands)]


def _escaped(words: Words) -> Any:
    """Return a command in which names that are no texts (see `codec.name`) are bytes again."""
    return tuple(
        each.encode(errors="surrogateescape") if isinstance(each, str) else each for each in words
    )


def _apart(words: Words) -> Any:
    """Return a command whose name is two words, as in CLIENT INFO, as Redis wants it."""
    verb = str(words[0])
    return words if " " not in verb else (*verb.split(), *words[1:])


async def _stale(line: Any) -> bool:
    # redis-py before 8 has it under the second name only.
    look = getattr(line, "can_read", None) or line.can_read_destructive
    try:
        return bool(await look())
    except (RedisError, OSError):
        return True
