"""The fleet under chaos: Redis, two scalers, two hosts' agents with all they start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import redis

from chaos.clocks import Clocks
from chaos.network import Network
from chaos.servers import OneServer, Servers
from reuse_queue.settings import Settings
from support.eventually import eventually_sync
from support.lab import processes_in
from support.server import RedisServer

ROOT = Path(__file__).parent.parent.parent
HOSTS = ("a", "b")
FAR = "b"
"""The host whose way to Redis is a network of ours."""
SCALERS = ("one", "two")
ENVIRONMENTS = ("main", "plain", "nest", "deadly", "solo")
_ROOM = "6"
"""How many replicas a host takes: fewer, in all, than are wanted at times."""
_OFF_THE_BOOKS_S = 60.0
_FORKS_LAST_S = 25.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A replica, as the books have it now."""

    name: str
    host: str
    process: psutil.Process


class Fleet:
    """Starts and ends the processes, and knows who is who."""

    def __init__(self, folder: Path, servers: Servers, settings: Settings) -> None:
        self.folder = folder
        self.servers = servers
        self.settings = replace(settings, redis_url=servers.url)
        self.raw: Any = servers.raw
        self.clocks = Clocks()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._closed = False

    @property
    def server(self) -> RedisServer:
        """The Redis server that takes writes."""
        return self.servers.now

    @property
    def network(self) -> Network:
        """The network on one host's way to Redis."""
        assert isinstance(self.servers, OneServer)
        return self.servers.network

    # -- processes --------------------------------------------------------------------------

    def start(self) -> None:
        """Start all of it; return when both hosts offer everything."""
        for scaler in SCALERS:
            self.start_scaler(scaler)
        for host in HOSTS:
            self.start_agent(host)
        eventually_sync(self.offered, within=60, what="both hosts' offers")

    def start_scaler(self, name: str) -> None:
        """Start a scaler; a standby, if another one leads."""
        self._start(f"scaler-{name}", self.settings.redis_url, "reuse_queue", "scaler")

    def start_agent(self, host: str) -> None:
        """Start a host's agent."""
        url = self.servers.far_url if host == FAR else self.servers.url
        targets = [f"chaos.app:{env}" for env in ENVIRONMENTS]
        words = ("reuse_agent", "--host", host, "--max-replicas", _ROOM, *targets)
        self._start(f"agent-{host}", url, *words, own=self.clocks.variables(host))

    def restart_ended(self) -> None:
        """Start again each scaler that ended with an error, as a service manager does.

        One that starts while Redis is away does that. What was killed is the faults' to start.
        """
        for name in SCALERS:
            if (self._running[f"scaler-{name}"].poll() or 0) > 0:
                self.start_scaler(name)

    def agent(self, host: str) -> psutil.Process | None:
        """Return a host's agent, if it lives."""
        return self._alive(f"agent-{host}")

    def scaler(self, name: str) -> psutil.Process | None:
        """Return a scaler, if it lives."""
        return self._alive(f"scaler-{name}")

    def leader(self) -> str | None:
        """Return the name of the scaler that leads, if it is known and alive."""
        token = self._read(lambda: self.raw.get("reuse:leader"))
        pid = int(token.decode().split(":")[1]) if token else 0
        return next((n for n in SCALERS if (p := self.scaler(n)) and p.pid == pid), None)

    def offered(self) -> bool:
        """Return whether both hosts offer every environment."""
        offers = [self.raw.hget(f"reuse:host:{host}", "offers") or b"" for host in HOSTS]
        return all(env.encode() in offer for offer in offers for env in ENVIRONMENTS)

    def replicas(self, host: str = "") -> list[Seen]:
        """Return the replicas (of one host) that the books name and that live."""
        return self._read(lambda: list(self._replicas(host))) or []

    def zygotes(self, host: str) -> list[psutil.Process]:
        """Return the living zygotes of a host's agent."""
        agent = self.agent(host)
        replicas = {each.process.pid for each in self.replicas(host)}
        children = [] if agent is None or not replicas else agent.children()
        # A replica keeps the command line of the zygote that it was forked from.
        return [
            each for each in children if each.pid not in replicas and "zygote" in _command(each)
        ]

    def stop(self) -> None:
        """End all processes in order; return when every replica is off the books."""
        for host in HOSTS:
            self._terminate(f"agent-{host}")
        for host in HOSTS:
            self._wait(f"agent-{host}")
        eventually_sync(
            lambda: not any(self.raw.exists(f"reuse:{{{env}}}:replicas") for env in ENVIRONMENTS),
            within=_OFF_THE_BOOKS_S,
            what="the end of all replicas",
        )
        for scaler in SCALERS:
            self._terminate(f"scaler-{scaler}")
        for scaler in SCALERS:
            self._wait(f"scaler-{scaler}")

    def left(self) -> list[str]:
        """Return the command lines of processes that are left.

        What a job has forked outlives the SIGKILL of its agent: nobody is there to end it then. It
        ends by itself.
        """
        with contextlib.suppress(AssertionError):
            eventually_sync(lambda: not processes_in(self.folder), within=_FORKS_LAST_S)
        return [" ".join(_command(each)) for each in processes_in(self.folder)]

    def close(self) -> None:
        """Kill whatever is left; nothing is started any more, by faults that heal, say."""
        self._closed = True
        for process in processes_in(self.folder):
            process.kill()
        for started in self._running.values():
            started.wait()
        self.servers.close()
        self.clocks.close()

    # ---------------------------------------------------------------------------------------

    def _start(self, name: str, url: str, *words: str, own: dict[str, str] | None = None) -> None:
        if self._closed:
            raise RuntimeError(f"{name} was to be started after the end")
        path = os.pathsep.join(filter(None, [str(ROOT / "tests"), os.environ.get("PYTHONPATH")]))
        settings = replace(self.settings, redis_url=url)
        own = {"PYTHONPATH": path, "CHAOS_FOLDER": str(self.folder), **(own or {})}
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=self.folder,
                env=os.environ | settings.to_env() | own,
                stdout=log,
                stderr=log,
            )

    def _alive(self, name: str) -> psutil.Process | None:
        started = self._running[name]
        return psutil.Process(started.pid) if started.poll() is None else None

    def _terminate(self, name: str) -> None:
        if self._running[name].poll() is None:
            self._running[name].send_signal(signal.SIGTERM)

    def _wait(self, name: str) -> None:
        try:
            self._running[name].wait(60)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{name} does not end") from None

    def _read(self, ask: Any) -> Any:
        try:
            return ask()
        except redis.RedisError:
            return None

    def _replicas(self, host: str) -> Iterator[Seen]:
        for env in ENVIRONMENTS:
            for name in map(bytes.decode, self.raw.zrange(f"reuse:{{{env}}}:replicas", 0, -1)):
                where, pid = self.raw.hmget(f"reuse:{{{env}}}:replica:{name}", "host", "pid")
                if pid and where and host in ("", where.decode()):
                    try:
                        process = psutil.Process(int(pid))
                    except psutil.NoSuchProcess:
                        continue
                    yield Seen(name=name, host=where.decode(), process=process)


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
