"""A primary, its replica and three sentinels that watch them: real processes on this machine."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from redis.sentinel import Sentinel

from support.certificates import Certificate, tls_program
from support.eventually import eventually_sync
from support.faulty_redis import first_program
from support.server import RedisServer, free_port

NAME = "main"
_COUNT = 3
# How soon a primary counts as down. Longer than anything that a loaded machine does to it.
_DOWN_MS = 1500
_CONFIG = """
{listen}
bind 127.0.0.1
dir {folder}
{login}
sentinel monitor {name} 127.0.0.1 {primary} 2
sentinel down-after-milliseconds {name} {down}
sentinel failover-timeout {name} 6000
{auth}
"""


class Watched:
    """The whole of it; `primary` and `replica` are what they were at the start.

    With a certificate all of them, sentinels too, speak TLS and nothing else.
    """

    def __init__(
        self, password: str = "", sentinel_password: str = "", tls: Certificate | None = None
    ) -> None:
        self._tls = tls
        self._program = tls_program() if tls else first_program()
        self._password = password
        self._sentinel_password = sentinel_password
        self._folder = tempfile.TemporaryDirectory(prefix="rq-sentinel-", dir="/tmp")
        self._ports = [free_port() for _ in range(_COUNT + 2)]
        self.primary, self.replica = map(self._server, self._ports[:2])
        # Sentinels ask only every ten seconds who follows.
        self.follow(self.replica, self._ports[0])
        eventually_sync(self._followed, what="a replica")
        self._sentinels = [self._sentinel(port) for port in self._ports[2:]]
        eventually_sync(self._settled, what="sentinels that know each other and a replica")

    @property
    def url(self) -> str:
        """Where the application is told that Redis is."""
        members = ",".join(f"127.0.0.1:{port}" for port in self._ports[2:])
        login = f":{self._password}@" if self._password else ""
        query = f"sentinel_password={self._sentinel_password}" if self._sentinel_password else ""
        if self._tls:
            query = f"ssl_ca_certs={self._tls.cert}&{query}"
        scheme = "rediss" if self._tls else "redis"
        return f"{scheme}+sentinel://{login}{members}/{NAME}/0?{query}".rstrip("?&")

    @property
    def primary_port(self) -> int:
        """The port of the primary, as the sentinels see it."""
        with self._asked() as asked:
            return int(asked.discover_master(NAME)[1])

    @property
    def sentinel_ports(self) -> list[int]:
        """Where the sentinels listen."""
        return self._ports[2:]

    def server_at(self, port: int) -> RedisServer:
        """Return the server of that port."""
        return self.primary if port == self._ports[0] else self.replica

    @property
    def replica_port(self) -> int:
        """The port of the replica."""
        return self._ports[1]

    def client(self, server: RedisServer) -> redis.Redis:
        return redis.Redis.from_url(server.url, password=self._password or None)

    def follow(self, server: RedisServer, port: int) -> None:
        with self.client(server) as raw:
            raw.replicaof("127.0.0.1", port)

    def failed_over(self, within: float = 30.0) -> None:
        """Return once the replica is the primary."""
        eventually_sync(
            lambda: self._primary_or_none() == self._ports[1], within=within, what="a failover"
        )

    def close(self) -> None:
        for sentinel in self._sentinels:
            sentinel.kill()
            sentinel.wait()
        for server in (self.primary, self.replica):
            server.go_on()
            server.close()
        self._folder.cleanup()

    # ---------------------------------------------------------------------------------------

    def _server(self, port: int) -> RedisServer:
        options: dict[str, Any] = {"repl_diskless_sync_delay": "0"}
        options |= self._tls.options(port) if self._tls else {"port": port}
        server = RedisServer(self._program, append_only=True, **options)
        if self._password:
            with server.client() as raw:
                raw.config_set("masterauth", self._password)
                raw.config_set("requirepass", self._password)
        return server

    def _sentinel(self, port: int) -> subprocess.Popen[bytes]:
        config = Path(self._folder.name) / f"{port}.conf"
        own, servers = self._sentinel_password, self._password
        text = _CONFIG.format(
            listen=self._listen(port),
            folder=self._folder.name,
            name=NAME,
            primary=self._ports[0],
            down=_DOWN_MS,
            login=f"requirepass {own}\nsentinel sentinel-pass {own}" if own else "",
            auth=f"sentinel auth-pass {NAME} {servers}" if servers else "",
        )
        config.write_text(text)
        command = [self._program, str(config), "--sentinel"]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _listen(self, port: int) -> str:
        if self._tls is None:
            return f"port {port}"
        lines = (f"{name.replace('_', '-')} {v}" for name, v in self._tls.options(port).items())
        return "\n".join(["port 0", *lines])

    @contextlib.contextmanager
    def _asked(self) -> Iterator[Any]:
        own: dict[str, Any] = {"socket_timeout": 1.0, "password": self._sentinel_password or None}
        if self._tls:
            own |= {"ssl": True, "ssl_ca_certs": self._tls.cert}
        asked: Any = Sentinel  # it has no types
        made = asked([("127.0.0.1", port) for port in self._ports[2:]], sentinel_kwargs=own)
        try:
            yield made
        finally:
            for each in made.sentinels:
                each.close()

    def _primary_or_none(self) -> int | None:
        with contextlib.suppress(redis.RedisError):
            return self.primary_port
        return None

    def _followed(self) -> bool:
        with self.client(self.primary) as raw:
            return bool(raw.info("replication")["connected_slaves"] == 1)

    def _settled(self) -> bool:
        with self._asked() as asked, contextlib.suppress(redis.RedisError):
            seen = [each.sentinel_masters()[NAME] for each in asked.sentinels]
            known = all(
                m["num-other-sentinels"] == _COUNT - 1 and m["num-slaves"] == 1 for m in seen
            )
            with self.client(self.replica) as raw:
                return known and raw.info("replication")["master_link_status"] == "up"
        time.sleep(0.05)
        return False


@contextlib.contextmanager
def watched(**how: Any) -> Iterator[Watched]:
    made = Watched(**how)
    try:
        yield made
    finally:
        made.close()
