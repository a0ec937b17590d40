"""Faults of Redis: killed, stopped, paused, full, without its scripts, cutting its clients off."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass

import redis

from chaos.faults import Fault, Harm
from chaos.fleet import Fleet
from chaos.servers import PASSWORD, USER

_BETWEEN_KILLS_S = (0.1, 0.4)


@dataclass(kw_only=True)
class KillRedis(Fault):
    """kill -9 of Redis; it comes back with its append-only file."""

    name = "SIGKILL of Redis, and its restart"
    uses = frozenset({"redis"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        fleet.server.kill()
        return Harm(silence=True)

    def heal(self, fleet: Fleet) -> None:
        fleet.server.restart()


@dataclass(kw_only=True)
class StopRedis(Fault):
    """SIGSTOP of Redis: it accepts connections and answers nobody."""

    name = "SIGSTOP of Redis"
    uses = frozenset({"redis"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        os.kill(fleet.server.process.pid, signal.SIGSTOP)
        return Harm(silence=True)

    def heal(self, fleet: Fleet) -> None:
        os.kill(fleet.server.process.pid, signal.SIGCONT)


@dataclass(kw_only=True)
class PauseClients(Fault):
    """CLIENT PAUSE: Redis keeps everybody waiting."""

    name = "CLIENT PAUSE"
    uses = frozenset({"redis"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        fleet.raw.execute_command("CLIENT PAUSE", int(self.lasts_s * 1000), "ALL")
        return Harm(silence=True)


@dataclass(kw_only=True)
class FlushScripts(Fault):
    """SCRIPT FLUSH: the next call of every script finds none."""

    name = "SCRIPT FLUSH"
    uses = frozenset({"redis"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        fleet.raw.script_flush()
        return Harm()


@dataclass(kw_only=True)
class KillClients(Fault):
    """CLIENT KILL of a random third of all connections, again and again."""

    name = "CLIENT KILL of connections at random"
    uses = frozenset({"redis"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        ends = time.monotonic() + self.lasts_s
        with redis.Redis.from_url(fleet.server.url) as own:
            me = own.client_id()
            while time.monotonic() < ends:
                for client in own.client_list():
                    if int(client["id"]) != me and rng.random() < 1 / 3:
                        with contextlib.suppress(redis.ResponseError):  # it is gone
                            own.client_kill_filter(_id=client["id"])
                time.sleep(rng.uniform(*_BETWEEN_KILLS_S))
        self.lasts_s = 0.0
        return Harm(hinders=True)


@dataclass(kw_only=True)
class FillRedis(Fault):
    """Its memory is full: it takes no new jobs, those that are there run, and no lease ends."""

    name = "Redis out of memory"
    uses = frozenset({"redis"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        fleet.raw.config_set("maxmemory", "1mb")  # it has more already
        return Harm()

    def heal(self, fleet: Fleet) -> None:
        fleet.raw.config_set("maxmemory", "0")


@dataclass(kw_only=True)
class ChangePassword(Fault):
    """The fleet's password is another one, and all its connections are cut; then it is back."""

    name = "wrong password"
    uses = frozenset({"redis"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        self._set(fleet, "another")
        return Harm(silence=True)

    def heal(self, fleet: Fleet) -> None:
        self._set(fleet, PASSWORD)

    @staticmethod
    def _set(fleet: Fleet, password: str) -> None:
        fleet.raw.execute_command("ACL", "SETUSER", USER, "resetpass", f">{password}")
        fleet.raw.execute_command("CLIENT", "KILL", "USER", USER)
