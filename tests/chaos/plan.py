"""Which faults, when: drawn from a seed, so that a run can be had again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from chaos.faults import Fault
from chaos.faults.data import WriteOddJobs
from chaos.faults.network import HalfOpen, Latency, Partition, Resets
from chaos.faults.processes import (
    KillAgent,
    KillAll,
    KillLeader,
    KillReplica,
    KillZygote,
    RestartAgent,
    SkewClock,
    StopAgent,
    StopHost,
    StopLeader,
    StopReplica,
)
from chaos.faults.redis import (
    ChangePassword,
    FillRedis,
    FlushScripts,
    KillClients,
    KillRedis,
    PauseClients,
    StopRedis,
)
from chaos.faults.sentinels import FailOver

Lasts: TypeAlias = Callable[[random.Random, float], float]
_FIRST_S, _GAP_S, _LONGEST_GAP_S = 3.0, 5.0, 15.0
_LEAD_S = 3.0


@dataclass(frozen=True)
class Planned:
    """One fault of a plan."""

    at_s: float
    """After the start."""
    fault: Fault


def _at_once(rng: random.Random, lease: float) -> float:
    return 0.0


def _short(rng: random.Random, lease: float) -> float:
    """So short that every lease survives it."""
    return rng.uniform(0.3, 1.5)


def _while(rng: random.Random, lease: float) -> float:
    return rng.uniform(2, 5)


def _long(rng: random.Random, lease: float) -> float:
    """So long that no lease survives it."""
    return lease + rng.uniform(2, 4)


def _lead(rng: random.Random, lease: float) -> float:
    return _LEAD_S + rng.uniform(1, 3)


Menu: TypeAlias = tuple[tuple[int, type[Fault], Lasts], ...]
# How often, relative to the others; how long.
_PROCESSES: Menu = (
    (10, KillReplica, _at_once),
    (4, KillZygote, _at_once),
    (4, KillAgent, _while),
    (4, KillLeader, _while),
    (2, KillAll, _while),
    (4, StopReplica, _long),
    (2, StopAgent, _long),
    (2, StopHost, _long),
    (3, StopLeader, _lead),
    (3, RestartAgent, _short),
    (3, SkewClock, _short),
)
# Those that leave Redis where it is.
_CALLS: Menu = (
    (3, FlushScripts, _at_once),
    (3, FillRedis, _while),
    (1, FillRedis, _long),
    (5, WriteOddJobs, _at_once),
    (4, KillClients, _while),
)
_ONE_SERVER: Menu = (
    (4, KillRedis, _short),
    (1, KillRedis, _long),
    (3, StopRedis, _short),
    (1, StopRedis, _long),
    (3, PauseClients, _short),
    (1, PauseClients, _long),
    (3, ChangePassword, _short),
    (1, ChangePassword, _long),
    (4, Latency, _while),
    (4, Resets, _while),
    (3, Partition, _short),
    (2, Partition, _long),
    (3, HalfOpen, _short),
    (2, HalfOpen, _long),
)
_SENTINELS: Menu = ((14, FailOver, _at_once),)


def drawn(seed: int, seconds: float, lease: float, *, sentinels: bool = False) -> list[Planned]:
    """Return the plan of a seed for so many seconds; its faults overlap as chance will have it.

    Args:
        seed: all that it depends on, besides the others here.
        seconds: until the last fault.
        lease: how long a lease lasts.
        sentinels: whether sentinels watch Redis, or it is one server and may come back itself.
    """
    rng = random.Random(seed)
    menu = (*_PROCESSES, *_CALLS, *(_SENTINELS if sentinels else _ONE_SERVER))
    weights = [weight for weight, _, _ in menu]
    plan: list[Planned] = []
    at = _FIRST_S
    while at < seconds:
        [(_, kind, lasts)] = rng.choices(menu, weights)
        plan.append(Planned(at, kind(lasts_s=lasts(rng, lease))))
        at += min(rng.expovariate(1 / _GAP_S), _LONGEST_GAP_S)
    return plan


def short(lease: float) -> list[Planned]:
    """Return the plan for every day: most of the faults, some of them at once, in 15 seconds."""
    return [
        Planned(1.0, KillReplica()),
        Planned(1.5, FlushScripts()),
        Planned(2.0, KillLeader(lasts_s=2.0)),
        Planned(2.5, StopReplica(lasts_s=lease + 2)),
        Planned(2.5, WriteOddJobs()),
        Planned(3.0, KillRedis(lasts_s=0.5)),
        Planned(4.0, FillRedis(lasts_s=0.7)),
        Planned(5.0, KillClients(lasts_s=2.0)),
        Planned(6.0, KillZygote()),
        Planned(7.0, Resets(lasts_s=1.5)),
        Planned(8.0, PauseClients(lasts_s=0.7)),
        Planned(9.0, HalfOpen(lasts_s=0.5)),
        Planned(9.5, ChangePassword(lasts_s=0.5)),
        Planned(10.0, KillAgent(lasts_s=1.0)),
        Planned(11.0, KillReplica()),
    ]
