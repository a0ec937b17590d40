"""Books: what one worker writes into the books of its queues, over rq's own connection."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

from rq.defaults import RQ_KEY_PREFIX

from reuse_queue.broker.connection import MAX_BLOCK_S, Connection, Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.lease import Leases
from reuse_queue.broker.together import together
from reuse_queue.job import Claim, ClaimedJob, Outcome, Recorded
from reuse_queue.settings import Settings

T = TypeVar("T")
# With several queues only the first can be waited for: how late it hears of jobs in the others.
_GLANCE_S = 0.1


class Books:
    """The steps of one guest on its queues. All methods raise RedisUnavailable.

    Args:
        client: rq's connection; it stays rq's.
        worker: the worker's name.
        queues: the names of its queues.
    """

    def __init__(self, client: Any, worker: str, queues: Iterable[str]) -> None:
        self.settings = replace(Settings.from_env(), key_prefix=RQ_KEY_PREFIX)
        self._connection = Connection(self.settings, client)
        self._worker = worker
        self._fleet = Fleet(self._connection.keys, self.settings)
        self._leases = {
            queue: Leases(self._connection.keys, queue, self.settings)
            for queue in dict.fromkeys(queues)
        }
        self._held: dict[str, str] = {}
        """Execution → queue."""

    def enlist(self) -> None:
        """Join the books of all queues."""
        for queue in self._leases:
            self._enlist(queue)

    def claim(self, queues: Sequence[str]) -> tuple[str, ClaimedJob] | None:
        """Claim a job of the first queue that has one, and return it with its queue's name."""
        for queue in self._with_jobs(queues):
            claimed = self._claim(queue)
            if claimed.jobs:
                (job,) = claimed.jobs
                self._held[job.execution] = queue
                return queue, job
        return None

    def holds(self, execution: str) -> bool:
        """Return whether an execution was claimed here and has not been recorded yet."""
        return execution in self._held

    def wait(self, queues: Sequence[str], seconds: float) -> None:
        """Return when there may be a job in one of the queues, after so long at the latest."""
        longest = MAX_BLOCK_S if len(queues) == 1 else _GLANCE_S
        timeout = timedelta(seconds=min(seconds, longest))
        self._run(self._leases[queues[0]].wait(self._worker, timeout))

    def finish(self, outcome: Outcome) -> Recorded:
        """Record how a held execution ended; tries for as long as its lease lasts."""
        queue = self._held[outcome.execution]
        step = self._leases[queue].finish(self._worker, [outcome])
        (recorded,) = self._connection.run(step, patience=self.settings.lease)
        self.drop(outcome.execution)
        return recorded

    def give_back(self, execution: str) -> None:
        """Return a held job to the front of its queue, as if it had never been claimed."""
        queue = self._held.pop(execution)
        self._run(self._leases[queue].release(self._worker, [execution]))

    def drop(self, execution: str) -> None:
        """Hold no longer what somebody else has recorded the end of."""
        self._held.pop(execution, None)

    def tidy(self) -> None:
        """Give back what is held without being known here: a reply may have been lost."""
        for leases in self._leases.values():
            self._run(leases.release(self._worker, known=list(self._held)))

    def beat(self) -> list[str]:
        """Extend the lease on each queue and on all that is held; join anew where it was lost.

        Returns the executions that are to be canceled.
        """
        orders: list[str] = []
        for queue in self._leases:
            answer = self._run(self._fleet.beat(queue, self._worker))
            orders += answer.cancel
            if answer.state is None:
                self._enlist(queue)
        return orders

    def reclaim(self) -> list[str]:
        """Give back the jobs of workers whose leases have run out; return those workers' names."""
        return [name for leases in self._leases.values() for name in self._run(leases.reclaim())]

    def leave(self) -> None:
        """Give everything back and leave the books."""
        self._held.clear()
        self.tidy()
        for queue in self._leases:
            self._run(self._fleet.leave(queue, self._worker))

    # ---------------------------------------------------------------------------------------

    def _with_jobs(self, queues: Sequence[str]) -> list[str]:
        """Return those of several queues that have jobs; of one that is not worth asking."""
        if len(queues) == 1:
            return list(queues)
        counts = self._run(
            together([self._leases[queue].waiting(self._worker) for queue in queues])
        )
        return [queue for queue, count in zip(queues, counts, strict=True) if count]

    def _claim(self, queue: str) -> Claim:
        claimed = self._claim_once(queue)
        if claimed.refused in {"", "paused"}:
            return claimed
        # Taken off the books, or drained with an environment that is open again.
        self._enlist(queue)
        return self._claim_once(queue)

    def _claim_once(self, queue: str) -> Claim:
        return self._run(self._leases[queue].claim(self._worker, 1, uuid4().hex))

    def _enlist(self, queue: str) -> None:
        self._run(self._fleet.enlist(queue, self._worker, self.settings.host, os.getpid()))

    def _run(self, step: Step[T]) -> T:
        return self._connection.run(step)
