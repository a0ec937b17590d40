"""Faults: small objects that hurt a fleet, and heal it again.

A fault says what it uses: two that use the same are not upon the fleet at the same time, any
others may be. What it returns is whose jobs may run again because of it; the checker takes
nothing else for an excuse.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

from chaos.fleet import Fleet


@dataclass(frozen=True, kw_only=True)
class Harm:
    """What a fault has done; see `history.Fault` for the fields."""

    what: str = ""
    pids: tuple[int, ...] = ()
    replicas: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    stopped: bool = False
    unattended: tuple[str, ...] = ()
    silence: bool = False
    hinders: bool = False


@dataclass(kw_only=True)
class Fault:
    """One fault; made anew for each time."""

    name: ClassVar[str]
    uses: ClassVar[frozenset[str]]
    lasts_s: float = 0.0
    """From its injection to its healing."""

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm | None:
        """Do it; None where there is nothing to do it to."""
        raise NotImplementedError

    def heal(self, fleet: Fleet) -> None:
        """Undo it, as far as that can be done; the default is a fault that leaves nothing."""
