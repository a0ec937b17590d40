"""Leases: what a replica does with jobs. All methods return steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from reuse_queue.broker.connection import Step
from reuse_queue.broker.keys import Keys
from reuse_queue.facts import Death
from reuse_queue.job import Claim, Outcome, Recorded, Verdict
from reuse_queue.settings import Settings


class Leases:
    """Claim, finish and give back the jobs of one environment."""

    def __init__(self, keys: Keys, env: str, settings: Settings) -> None:
        self._keys = keys
        self._env = env
        self._settings = settings

    def wait(self, replica: str, timeout: timedelta) -> Step[str | None]:
        """Wait for a job and return its id, moved to the replica's own waiting list; else None.

        BLMOVE queue → waiting list (timeout at most MAX_BLOCK_S). The id is not claimed yet: pass
        it to `claim` next. If the replica dies in between, reclaim or end_replica returns it.
        """
        raise NotImplementedError

    def claim(self, replica: str, count: int, tokens: Sequence[str]) -> Step[Claim]:
        """Claim up to `count` jobs (1 … 1,000) for a replica, atomically.

        First what lies in its waiting list (claimed even by a draining replica), then urgent
        jobs, then the queue. `tokens` are `count` new execution ids. Canceled, expired and
        deleted jobs are dropped. A job that was claimed but whose reply got lost is found by
        `release(replica, known=…)`.
        """
        raise NotImplementedError

    def finish(self, replica: str, outcomes: Sequence[Outcome]) -> Step[list[Recorded]]:
        """Record outcomes (at most 1,000) in rq's format, where the lease is still held.

        A failure with retries left is retried (at once or through the scheduled registry).
        Dependents are released. Idempotent: a repeat answers LOST and writes nothing.
        """
        raise NotImplementedError

    def release(
        self, replica: str, executions: Sequence[str] = (), known: Sequence[str] | None = None
    ) -> Step[int]:
        """Give jobs back to the front of the queue, uncharged, in their old order; return how many.

        Either the named executions, or, with `known`, all that the replica holds except those
        (what a lost claim reply left behind). The waiting list goes back as well.
        """
        raise NotImplementedError

    def renew(self, replicas: Sequence[str]) -> Step[list[bool]]:
        """Extend the leases of replicas and of all they hold; False where one is lost already."""
        raise NotImplementedError

    def end_replica(
        self, death: Death, running: Mapping[str, Verdict | None], *, asked: bool = False
    ) -> Step[int]:
        """Take a dead replica off the books; return how many of its jobs went back or ended.

        `running` maps the execution ids that were really running to the verdict that its agent
        had passed: FAILED (killed for its timeout: counts as a failure, retries apply), CANCELED,
        or None (lost: one more loss on its account, dead after `max_deliveries`, to the front of
        the queue after its first loss and to the back after another; a job with redeliver=False
        fails). Everything else it held goes back uncharged. `asked`: it ended as it was told to,
        so the death is not recorded as one. Wakes the scaler.
        """
        raise NotImplementedError

    def reclaim(self, limit: int = 10) -> Step[list[str]]:
        """End replicas whose lease ran out (at most `limit`), all they held as lost; names."""
        raise NotImplementedError
