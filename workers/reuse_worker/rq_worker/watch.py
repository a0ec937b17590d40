"""Watch: a wait for several queues at once that takes nothing out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis


class Watch:
    """Has Redis tell of the next change of any of several lists, over a connection of its own.

    Waits as BLPOP does for many lists, but leaves the taking to an atomic step: Redis tracks what
    a connection has read (the protocol's client-side caching), and says so when that changes.

    Args:
        client: whose server, login and options to use.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._connection: Any = None

    def wait(self, lists: Sequence[str], seconds: float) -> None:
        """Return when one of the lists may have something in it, after so long at the latest.

        Raises:
            redis.ConnectionError, redis.TimeoutError: Redis is away.
            redis.ResponseError: this server or login allows no tracking.
        """
        try:
            if self._connection is None:
                self._connect()
            if not self._all_empty(lists):
                return
            # It changed after it was read, or will: both are told.
            if self._connection.can_read(timeout=seconds):
                self._connection.read_response(push_request=True)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; another wait opens it anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    # ---------------------------------------------------------------------------------------

    def _connect(self) -> None:
        options = {**self._pool.connection_kwargs, "protocol": 3}
        self._connection = self._pool.connection_class(**options)
        # Others' connections keep what Redis tells of to themselves.
        self._connection._parser.set_invalidation_push_handler(_told)  # noqa: SLF001
        self._connection.connect()
        self._ask(("CLIENT", "TRACKING", "ON"))

    def _all_empty(self, lists: Sequence[str]) -> bool:
        return not any(self._ask(*(("LLEN", each) for each in lists)))

    def _ask(self, *commands: tuple[str, ...]) -> list[Any]:
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        return [self._connection.read_response() for _ in commands]


def _told(message: object) -> None:
    """Take note of nothing: that something was told is enough."""
