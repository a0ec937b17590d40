"""The Redis of a fleet: one server, or a primary and its replica under three sentinels."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Protocol

import redis
from redis.sentinel import Sentinel

from chaos.network import Network
from support.sentinels import NAME, Watched
from support.server import RedisServer

USER, PASSWORD = "fleet", "right"
"""How a fleet logs in to one server; the tests' own clients need no login."""
_LOGIN = f"{USER}:{PASSWORD}@"
_USERS = f"""
user default on nopass ~* &* +@all
user {USER} on >{PASSWORD} ~* &* +@all
"""
_ANSWERS_WITHIN_S = 5


class Servers(Protocol):
    """What a fleet has to know of its Redis."""

    url: str
    far_url: str
    """For the host whose way to it may be a bad one."""
    raw: Any
    """A client without a login."""

    @property
    def now(self) -> RedisServer:
        """The server that takes writes."""

    def close(self) -> None:
        """End all of it."""


class OneServer:
    """One server, with a network of ours on the way of one host."""

    def __init__(self, program: str) -> None:
        # Short: the path of a socket may not be long.
        folder = Path(tempfile.mkdtemp(prefix="rq-chaos-", dir="/tmp"))
        users = folder / "users.acl"
        users.write_text(_USERS)
        self.now = RedisServer(program, append_only=True, folder=folder, aclfile=str(users))
        self.url = self.now.url.replace("//", f"//{_LOGIN}")
        self.network = Network(str(self.now.socket), _LOGIN)
        self.far_url = self.network.url
        self.raw: Any = redis.Redis.from_url(self.now.url, socket_timeout=_ANSWERS_WITHIN_S)

    def close(self) -> None:
        """End all of it."""
        self.raw.close()
        self.network.close()
        self.now.close()


class UnderSentinels:
    """A primary and its replica, which change places; the way there is a good one."""

    def __init__(self) -> None:
        self.watched = Watched()
        self.url = self.far_url = self.watched.url
        sentinel: Any = Sentinel  # it has no types
        limits = {"socket_timeout": _ANSWERS_WITHIN_S}
        members = [("127.0.0.1", port) for port in self.watched.sentinel_ports]
        self._asked = sentinel(members, sentinel_kwargs=limits, **limits)
        self.raw: Any = self._asked.master_for(NAME)

    @property
    def now(self) -> RedisServer:
        """The server that takes writes."""
        return self.watched.server_at(self.watched.primary_port)

    @property
    def standby(self) -> RedisServer:
        """The other one."""
        both = (self.watched.primary, self.watched.replica)
        return next(each for each in both if each is not self.now)

    def follow(self, old: RedisServer) -> None:
        """Make a server that was the primary the replica of the one that is."""
        self.watched.follow(old, self.watched.primary_port)

    def close(self) -> None:
        """End all of it."""
        self.raw.close()
        for each in self._asked.sentinels:
            each.close()
        self.watched.close()
