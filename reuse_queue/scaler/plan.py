"""Plan: what one environment should have, before it is known which hosts have room."""

from __future__ import annotations

from dataclasses import dataclass

from reuse_queue.facts import Action, EnvironmentState


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Replicas of one version that are wanted."""

    version: str
    """'' where no live host offers any."""
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What one environment should have, and what is to be done to the replicas it has."""

    environment: str
    state: EnvironmentState
    want: int = 0
    supply: int = 0
    demand: int = 0
    starts: tuple[Start, ...] = ()
    minimum: int = 0
    """How many of the starts it takes to reach the least number of replicas."""
    actions: tuple[Action, ...] = ()
    """Drains and un-drains."""
    why: str = ""
    """In words, where something is done: what calls for it."""
    rest: str = ""
    """In words, where nothing is done: why not. The same for as long as the reason is."""
    degraded: str = ""
