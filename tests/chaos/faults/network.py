"""Faults of the network between one host and Redis."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from chaos.faults import Fault, Harm
from chaos.fleet import FAR, Fleet

_BETWEEN_RESETS_S = (0.2, 0.8)
_LATE_S = (0.05, 0.4)


@dataclass(kw_only=True)
class Latency(Fault):
    """Everything is late."""

    name = "latency"
    uses = frozenset({"network"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        fleet.network.latency_s = rng.uniform(*_LATE_S)
        what = f"{FAR}, up to {fleet.network.latency_s * 1000:.0f} ms"
        return Harm(what=what, hosts=(FAR,), hinders=True)

    def heal(self, fleet: Fleet) -> None:
        fleet.network.latency_s = 0.0


@dataclass(kw_only=True)
class Resets(Fault):
    """All connections are reset, again and again."""

    name = "connections reset"
    uses = frozenset({"network"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        ends = time.monotonic() + self.lasts_s
        while time.monotonic() < ends:
            fleet.network.reset()
            time.sleep(rng.uniform(*_BETWEEN_RESETS_S))
        self.lasts_s = 0.0
        return Harm(what=FAR, hosts=(FAR,), hinders=True)


@dataclass(kw_only=True)
class Partition(Fault):
    """Nothing comes through; when it is mended, everything does, late."""

    name = "partition of a host from Redis"
    uses = frozenset({"network"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        fleet.network.cut()
        return Harm(what=FAR, hosts=(FAR,), silence=True)

    def heal(self, fleet: Fleet) -> None:
        fleet.network.mend()


@dataclass(kw_only=True)
class HalfOpen(Fault):
    """All connections go silent for ever, and nobody is told; new ones come through later."""

    name = "connections left half-open"
    uses = frozenset({"network"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        fleet.network.cut()
        fleet.network.forget()
        return Harm(what=FAR, hosts=(FAR,), silence=True)

    def heal(self, fleet: Fleet) -> None:
        fleet.network.mend()
