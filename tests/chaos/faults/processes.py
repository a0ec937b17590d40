"""Faults of processes: killed, stopped, restarted."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import psutil

from chaos.clocks import LIBRARIES
from chaos.faults import Fault, Harm
from chaos.fleet import HOSTS, Fleet
from support.eventually import eventually_sync

_ENDS_WITHIN_S = 60.0
# What goes on after a stop may still begin what it had claimed before, until its next beat tells
# it that its lease is lost.
_HEARS_WITHIN_S = 2.0


def _killed(process: psutil.Process) -> bool:
    """Kill a process; return whether it was there to be killed."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


def _suspend(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()


def _resume(processes: Iterable[psutil.Process]) -> None:
    """Let processes go on; return when they know how late it is."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
    time.sleep(_HEARS_WITHIN_S)


@dataclass(kw_only=True)
class KillReplica(Fault):
    """kill -9 of a replica: its agent has its jobs back in the queue at once."""

    name = "SIGKILL of a replica"
    uses = frozenset({"replica"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        there = fleet.replicas()
        if not there:
            return None
        victim = rng.choice(there)
        if not _killed(victim.process):
            return None
        return Harm(what=victim.name, pids=(victim.process.pid,), replicas=(victim.name,))


@dataclass(kw_only=True)
class KillZygote(Fault):
    """kill -9 of a zygote: its replicas live on, and the next one is started."""

    name = "SIGKILL of a zygote"
    uses = frozenset({"zygote"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        there = [each for host in HOSTS for each in fleet.zygotes(host)]
        if not there:
            return None
        victim = rng.choice(there)
        if not _killed(victim):
            return None
        # What is not on the books yet cannot be told from a zygote: it has begun no job either.
        return Harm(what=f"pid {victim.pid}", pids=(victim.pid,))


@dataclass(kw_only=True)
class KillAgent(Fault):
    """kill -9 of an agent, which takes its replicas along; it is started again after a while."""

    name = "SIGKILL of an agent, and with it its host's replicas"
    uses = frozenset({"host"})
    _host: str = ""

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        self._host = rng.choice(HOSTS)
        agent = fleet.agent(self._host)
        if agent is None or not _killed(agent):
            return None
        return Harm(what=self._host, hosts=(self._host,))

    def heal(self, fleet: Fleet) -> None:
        fleet.start_agent(self._host)


@dataclass(kw_only=True)
class KillLeader(Fault):
    """kill -9 of the leading scaler: its standby takes over."""

    name = "SIGKILL of the leading scaler"
    uses = frozenset({"leader"})
    _scaler: str = ""

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        self._scaler = fleet.leader() or ""
        scaler = fleet.scaler(self._scaler) if self._scaler else None
        if scaler is None or not _killed(scaler):
            return None
        return Harm(what=self._scaler)

    def heal(self, fleet: Fleet) -> None:
        fleet.start_scaler(self._scaler)


@dataclass(kw_only=True)
class KillAll(Fault):
    """kill -9 of an agent, the leading scaler, a zygote and a replica of the other host."""

    name = "SIGKILL of a replica, a zygote, an agent and the leading scaler at once"
    uses = frozenset({"host", "leader", "replica", "zygote"})
    _parts: tuple[Fault, ...] = ()

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        parts = (KillReplica(), KillZygote(), KillLeader(), KillAgent())
        harms = [(part, harm) for part in parts if (harm := part.inject(fleet, rng))]
        self._parts = tuple(part for part, _ in harms)
        if not harms:
            return None
        return Harm(
            what=", ".join(harm.what for _, harm in harms),
            pids=tuple(pid for _, harm in harms for pid in harm.pids),
            replicas=tuple(name for _, harm in harms for name in harm.replicas),
            hosts=tuple(host for _, harm in harms for host in harm.hosts),
        )

    def heal(self, fleet: Fleet) -> None:
        for part in self._parts:
            part.heal(fleet)


@dataclass(kw_only=True)
class StopReplica(Fault):
    """SIGSTOP of a replica for longer than its lease, then SIGCONT: its results come too late."""

    name = "SIGSTOP of a replica for longer than its lease"
    uses = frozenset({"replica"})
    _victim: list[psutil.Process] = field(default_factory=list)

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        there = fleet.replicas()
        if not there:
            return None
        victim = rng.choice(there)
        self._victim = [victim.process]
        _suspend(self._victim)
        pids, replicas = (victim.process.pid,), (victim.name,)
        return Harm(what=victim.name, pids=pids, replicas=replicas, stopped=True)

    def heal(self, fleet: Fleet) -> None:
        _resume(self._victim)


@dataclass(kw_only=True)
class StopAgent(Fault):
    """SIGSTOP of an agent for longer than its lease: its replicas renew their own."""

    name = "SIGSTOP of an agent for longer than its lease"
    uses = frozenset({"host"})
    _victim: list[psutil.Process] = field(default_factory=list)

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        host = rng.choice(HOSTS)
        agent = fleet.agent(host)
        self._victim = [] if agent is None else [agent]
        _suspend(self._victim)
        return Harm(what=host, unattended=(host,)) if agent else None

    def heal(self, fleet: Fleet) -> None:
        _resume(self._victim)


@dataclass(kw_only=True)
class StopHost(Fault):
    """SIGSTOP of all that runs on a host for longer than a lease, as when a VM is paused."""

    name = "SIGSTOP of a whole host for longer than its lease"
    uses = frozenset({"host", "replica"})
    _victims: list[psutil.Process] = field(default_factory=list)

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        host = rng.choice(HOSTS)
        agent = fleet.agent(host)
        if agent is None:
            return None
        # The agent first: it is to see nothing of what happens to the others.
        self._victims = [agent]
        _suspend(self._victims)
        self._victims += agent.children(recursive=True)
        _suspend(self._victims)
        return Harm(what=host, hosts=(host,), stopped=True)

    def heal(self, fleet: Fleet) -> None:
        _resume(reversed(self._victims))


@dataclass(kw_only=True)
class StopLeader(Fault):
    """SIGSTOP of the leading scaler, which believes that it leads when it goes on."""

    name = "SIGSTOP of the leading scaler for longer than its lead"
    uses = frozenset({"leader"})
    _victim: list[psutil.Process] = field(default_factory=list)

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        leader = fleet.leader()
        scaler = fleet.scaler(leader) if leader else None
        self._victim = [] if scaler is None else [scaler]
        _suspend(self._victim)
        return Harm(what=leader or "") if scaler else None

    def heal(self, fleet: Fleet) -> None:
        _resume(self._victim)


@dataclass(kw_only=True)
class RestartAgent(Fault):
    """SIGTERM of an agent, and a new one once it has drained: no job may notice."""

    name = "SIGTERM of an agent, and a new one"
    uses = frozenset({"host"})
    _host: str = ""

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        self._host = rng.choice(HOSTS)
        agent = fleet.agent(self._host)
        if agent is None:
            return None
        agent.terminate()
        return Harm(what=self._host)

    def heal(self, fleet: Fleet) -> None:
        eventually_sync(
            lambda: fleet.agent(self._host) is None,
            within=_ENDS_WITHIN_S,
            what=f"the end of host {self._host}'s agent",
        )
        fleet.start_agent(self._host)


@dataclass(kw_only=True)
class SkewClock(RestartAgent):
    """An agent, and with it its host, gets another clock; it keeps it whatever comes after."""

    name = "an agent's restart with its clock an hour off, or right again"

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        if not LIBRARIES:
            return None
        harm = super().inject(fleet, rng)
        if harm is None:
            return None
        skew = rng.choice(sorted({"+1h", "-1h", ""} - {fleet.clocks.of(self._host)}))
        fleet.clocks.put(self._host, skew)
        return Harm(what=f"{self._host} {skew or 'right'}")
