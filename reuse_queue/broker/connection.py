"""The way to Redis: steps written once, run by a blocking or an asynchronous client.

A *step* is a generator that yields requests and is sent their replies; its return value is the
step's result. It says what to ask; `Connection.run` and `Connection.arun` do the asking.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar
from weakref import WeakValueDictionary

import redis
import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from reuse_queue.broker.address import address, shown_url
from reuse_queue.broker.clients import REPLY_TIMEOUT_S, Clients
from reuse_queue.broker.keys import Keys
from reuse_queue.broker.lines import AsyncLines, Borrowed, Exchange
from reuse_queue.broker.scripts import script
from reuse_queue.broker.troubles import FOREIGN, is_away, passes, translated
from reuse_queue.errors import ReuseQueueError
from reuse_queue.jitter import spread
from reuse_queue.settings import DEFAULT_REDIS_URL, Settings

T = TypeVar("T")
Value: TypeAlias = "str | bytes | int | float"

MAX_BLOCK_S = 5.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 2.0


@dataclass(frozen=True, slots=True)
class Command:
    """One plain command, or a call of one of our scripts."""

    args: tuple[Value, ...]
    script: str | None = None
    keys: tuple[str, ...] = ()
    blocks_s: float = 0.0
    """How long the server may hold the reply back on purpose."""
    by_text: bool = False
    """A script goes by its text, at once: what follows must come over the same connection."""
    may_fail: bool = False
    """A refusal is its reply (a RedisError): what was asked with it counts all the same."""

    def words(self, *, whole: bool = False) -> tuple[Value, ...]:
        """Return the command's words; a script goes by its digest unless `whole`."""
        if self.script is None:
            return self.args
        wanted = script(self.script)
        verb = ("EVAL", wanted.text) if whole or self.by_text else ("EVALSHA", wanted.sha)
        return (*verb, len(self.keys), *self.keys, *self.args)


Request: TypeAlias = "Command | Sequence[Command]"
Step: TypeAlias = Generator[Request, Any, T]


def call(name: str, keys: Sequence[str], *args: Value) -> Command:
    """Return the call of lua/<name>.lua."""
    return Command(args, name, tuple(keys))


def command(*args: Value, blocks_s: float = 0.0) -> Command:
    """Return a plain command; `blocks_s` is how long it may block (at most MAX_BLOCK_S)."""
    return Command(args, blocks_s=blocks_s)


class Connection:
    """One Redis, reached by a blocking pool and one for each event loop; replies are bytes.

    Pools are made when first used, and anew in a forked child. `patience` is how long `run` and
    `arun` keep trying each request of a step, from its first failure on, when Redis cannot be
    reached; zero means once. A request may so arrive more than once: every step that is given
    patience must bear a repeat.

    Args:
        settings: where Redis is, and its keys' prefix.
        client: somebody's blocking client for `run` to use in place of a pool of ours; it stays
            open.
    """

    def __init__(self, settings: Settings, client: redis.Redis | None = None) -> None:
        self.settings = settings
        self.keys = Keys(settings.key_prefix)
        self._theirs = None if client is None else Borrowed(client)
        self._clients = Clients(address(settings.redis_url))
        # Weakly: in a cycle, a connection that is let go could not close what it has on a loop.
        self._kept: WeakValueDictionary[object, Any] = WeakValueDictionary()

    def __str__(self) -> str:
        """Return the URL without its password."""
        return shown_url(self.settings.redis_url)

    @property
    def clients(self) -> Clients:
        """redis-py's clients, for code that is not ours."""
        return self._clients

    # -- running steps ----------------------------------------------------------------------

    def run(
        self, make: Step[T], *, patience: timedelta = timedelta(0), lines: Exchange | None = None
    ) -> T:
        """Run a step with the blocking client and return its result.

        Raises:
            RedisUnavailable: Redis could not be reached within `patience`, or the `lines` that it
                was to take are closed.
            RedisRefused: it answered, with an error.
        """
        try:
            request = next(make)
            while True:
                try:
                    reply = self._ask(request, lines or self.lines())
                except FOREIGN as error:
                    reply = self._ask_again(request, patience, error, lines)
                request = make.send(reply)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # Step[T] returns T
        except ReuseQueueError:
            raise  # a step's own, such as ResultTimeout: some of ours are OSErrors too
        except FOREIGN as error:
            raise translated(error, str(self), self._hint()) from error

    async def arun(
        self,
        make: Step[T],
        *,
        patience: timedelta = timedelta(0),
        lines: AsyncLines | None = None,
    ) -> T:
        """Run a step with the asynchronous client, over its `lines` if given; return its result.

        Raises:
            RedisUnavailable: Redis could not be reached within `patience`.
            RedisRefused: it answered, with an error.
        """
        try:
            request = next(make)
            while True:
                try:
                    reply = await self._aask(request, lines or self._clients.async_lines())
                except FOREIGN as error:
                    reply = await self._aask_again(request, patience, error, lines)
                request = make.send(reply)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]  # Step[T] returns T
        except ReuseQueueError:
            raise  # a step's own, such as ResultTimeout: some of ours are OSErrors too
        except FOREIGN as error:
            raise translated(error, str(self), self._hint()) from error

    @contextlib.asynccontextmanager
    async def listen(self, *channels: str) -> AsyncIterator[redis.asyncio.client.PubSub]:
        """Yield a confirmed subscription to `channels` on a connection of its own.

        Its `get_message(timeout=…)` then returns None only after a silence of that length.

        Raises:
            RedisUnavailable: Redis could not be reached, or went away meanwhile.
        """
        pubsub = self._clients.asynchronous().pubsub(ignore_subscribe_messages=True)
        try:
            await pubsub.subscribe(*channels)
            for _ in channels:
                # The server's confirmations: what is published from now on is heard.
                await pubsub.get_message(timeout=REPLY_TIMEOUT_S)
            yield pubsub
        except ReuseQueueError:
            raise  # a step's own, such as ResultTimeout: some of ours are OSErrors too
        except FOREIGN as error:
            raise translated(error, str(self), self._hint()) from error
        finally:
            with contextlib.suppress(RedisError, OSError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def refresh(self) -> None:
        """Let all that goes on in the running loop go on over new connections.

        For who has found Redis again: others may still wait at a connection that is dead. Their
        requests fail as if it had been cut.
        """
        await self._clients.refresh()

    def kept(self, name: object, make: Callable[[], T]) -> T:
        """Return what all who share this connection have in common, made once while one has it."""
        # Atomic: of two threads that make it at once, both get the same.
        found: T = self._kept.get(name) or self._kept.setdefault(name, make())
        return found

    def probe(self) -> AsyncLines:
        """Return lines of the running loop for one who looks whether Redis can be reached.

        Nobody else asks over them, so they are as old as the oldest of the others: what has made
        those deaf (a proxy that lost its state, a host that is gone) has made them deaf too.
        """
        return AsyncLines(self._clients.asynchronous())

    def lines(self) -> Exchange:
        """Return the way that `run` takes now; once `close` was called, it is open no more."""
        return self._theirs or self._clients.lines()

    def close(self) -> None:
        """Close the blocking pool."""
        self._clients.close()

    async def aclose(self) -> None:
        """Close the blocking pool and the running loop's."""
        await self._clients.aclose()

    # ---------------------------------------------------------------------------------------

    def _ask(self, request: Request, lines: Exchange) -> Any:
        commands = [request] if isinstance(request, Command) else request
        if not commands:
            return []
        replies = lines.exchange([each.words() for each in commands])
        missed = _missed(replies)
        if missed:
            again = lines.exchange([commands[i].words(whole=True) for i in missed])
            replies = _merged(replies, missed, again)
        return _answer(request, replies)

    async def _aask(self, request: Request, lines: AsyncLines) -> Any:
        commands = [request] if isinstance(request, Command) else request
        if not commands:
            return []
        async with asyncio.timeout(REPLY_TIMEOUT_S + max(each.blocks_s for each in commands)):
            replies = await lines.exchange([each.words() for each in commands])
            missed = _missed(replies)
            if missed:
                again = await lines.exchange([commands[i].words(whole=True) for i in missed])
                replies = _merged(replies, missed, again)
        return _answer(request, replies)

    def _ask_again(
        self, request: Request, patience: timedelta, error: Exception, lines: Exchange | None
    ) -> Any:
        waits = _waits(patience)
        while passes(error):
            if is_away(error):
                # A demoted primary keeps its connections, and only a new one finds its successor.
                (lines or self.lines()).drop()
            wait = next(waits, None)
            if wait is None:
                break
            time.sleep(wait)
            try:
                return self._ask(request, lines or self.lines())
            except FOREIGN as latest:
                error = latest
        raise error

    async def _aask_again(
        self, request: Request, patience: timedelta, error: Exception, lines: AsyncLines | None
    ) -> Any:
        waits = _waits(patience)
        while passes(error):
            if is_away(error):
                await (lines or self._clients.async_lines()).drop()
            wait = next(waits, None)
            if wait is None:
                break
            await asyncio.sleep(wait)
            try:
                return await self._aask(request, lines or self._clients.async_lines())
            except FOREIGN as latest:
                error = latest
        raise error

    def _hint(self) -> str:
        if self.settings.redis_url != DEFAULT_REDIS_URL:
            return ""
        return (
            " Nobody said which Redis to use: set REUSE_QUEUE_REDIS_URL, or start one with "
            "`reuse-queue run` in this folder."
        )


def _waits(patience: timedelta) -> Iterator[float]:
    """Yield jittered, growing waits for `patience`, counted from the first failure on."""
    gives_up = time.monotonic() + patience.total_seconds()
    wait = _FIRST_WAIT_S
    while (left := gives_up - time.monotonic()) > 0:
        yield min(left, spread(wait))
        wait = min(wait * 2, _LONGEST_WAIT_S)


def _missed(replies: list[Any]) -> list[int]:
    """Return which commands were scripts that the server does not have (yet, or any more)."""
    return [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]


def _merged(replies: list[Any], missed: list[int], again: list[Any]) -> list[Any]:
    for place, reply in zip(missed, again, strict=True):
        replies[place] = reply
    return replies


def _answer(request: Request, replies: list[Any]) -> Any:
    commands = [request] if isinstance(request, Command) else request
    for asked, reply in zip(commands, replies, strict=True):
        if isinstance(reply, Exception) and not asked.may_fail:
            raise reply
    return replies[0] if isinstance(request, Command) else replies
