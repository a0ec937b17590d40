"""Scaling: what the scaler reads and writes. All methods return steps."""

from __future__ import annotations

from datetime import timedelta

from reuse_queue.broker.connection import Step
from reuse_queue.broker.keys import Keys
from reuse_queue.facts import Decision, Snapshot
from reuse_queue.settings import Settings


class Scaling:
    """Lead, take snapshots, apply decisions, and what operators set for an environment."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._settings = settings

    def lead(self, token: str, ttl: timedelta) -> Step[int]:
        """Take or keep the lead; return the fencing number, 0 where another one leads."""
        raise NotImplementedError

    def resign(self, token: str) -> Step[None]:
        """Give the lead up, if it is held."""
        raise NotImplementedError

    def snapshot(self, env: str, *, poke: bool) -> Step[Snapshot]:
        """Read everything that a decision about one environment needs, in one script.

        `poke` (the scaler; not a mere viewer): ask to be woken by the next enqueue.

        Raises:
            UnknownEnvironment: nobody ever announced it and it has no queue.
        """
        raise NotImplementedError

    def apply(self, token: str, decision: Decision) -> Step[int]:
        """Carry a decision out, if `token` still leads; return how many actions took effect.

        Every action is a compare-and-set: only an idle READY replica is drained (unless forced),
        only a DRAINING one un-drained; DORMANT only while the demand is still 0. The decision
        goes to the environment's stream (with its actions that took effect) when it changes
        something or its reason differs from the last one's. Wakes the agents concerned.
        """
        raise NotImplementedError

    def decisions(self, env: str, count: int) -> Step[list[Decision]]:
        """Return the newest decisions, newest first."""
        raise NotImplementedError

    def pause(self, env: str, *, paused: bool) -> Step[None]:
        """Let the replicas stay and claim nothing; or let them claim again."""
        raise NotImplementedError

    def drain_environment(self, env: str, *, drained: bool) -> Step[None]:
        """Let all replicas finish and go, and start none; or allow them again."""
        raise NotImplementedError

    def override(self, env: str, bounds: tuple[int, int] | None) -> Step[None]:
        """Set (min, max) replicas in place of the policy's; None: the policy's again."""
        raise NotImplementedError
