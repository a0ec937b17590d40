"""Books: what one worker writes into the books of its queues, over rq's own connection."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import redis
from rq.defaults import RQ_KEY_PREFIX

from reuse_queue.broker.connection import MAX_BLOCK_S, Connection, Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.lease import Leases, new_token
from reuse_queue.broker.together import together
from reuse_queue.errors import RedisUnavailable
from reuse_queue.job import Claim, ClaimedJob, Outcome, Recorded
from reuse_queue.settings import Settings
from reuse_worker.batch import Pace, claim_size
from reuse_worker.rq_worker import stepwise
from reuse_worker.rq_worker.watch import Watch
from reuse_worker.tenure import Tenure, now

T = TypeVar("T")
# Where Redis may not tell of several queues: how late this hears of jobs in them.
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
        self._seen = dict.fromkeys(self._leases, Claim())
        """What the last claim from each queue said of it."""
        self._held: dict[str, str] = {}
        """Execution → queue."""
        self._watch: Watch | None = Watch(client)
        self._tenure = Tenure(self.settings.lease)

    def enlist(self) -> None:
        """Join the books of all queues."""
        for queue in self._leases:
            self._enlist(queue)

    def claim(
        self, queues: Sequence[str], most: int, pace: Pace
    ) -> tuple[str, tuple[ClaimedJob, ...]] | None:
        """Claim jobs of the first queue that has any, and return them with its name.

        One; and up to `most` where the queue is long, no worker of it idle, and jobs so short
        that they are worth a few milliseconds together.
        """
        for queue in self._with_jobs(queues):
            wanted = claim_size(free=1, ahead=0, concurrency=1, seen=self._seen[queue], pace=pace)
            claimed = self._claim(queue, min(wanted, most), new_token())
            if claimed.jobs:
                return queue, claimed.jobs
        return None

    def start(self, queue: str, job_id: str, execution: str) -> bool:
        """Claim one job that has been taken out of its queue already; False where that cannot be.

        It waits in rq's intermediate list, and `execution` is the id of the execution to be.
        """
        self._run(stepwise.adopt(self._connection.keys, queue, self._worker, job_id))
        jobs = self._claim(queue, 1, execution).jobs
        if jobs and jobs[0].id != job_id:
            # What a wait has left behind went first.
            self.give_back([execution])
            return False
        return bool(jobs)

    def take(self, queues: Sequence[str]) -> tuple[str, str] | None:
        """Move an id into the intermediate list of the first queue that has one, as rq does.

        Returns the queue's name and the id.
        """
        for queue in queues:
            if (job_id := self._run(stepwise.take(self._connection.keys, queue))) is not None:
                return queue, job_id
        return None

    def holds(self, execution: str) -> bool:
        """Return whether an execution was claimed here and has not been recorded yet."""
        return execution in self._held

    def keeps(self, execution: str, job_id: str) -> bool:
        """Return whether the lease of a held execution is still this worker's."""
        queue = self._held[execution]
        return self._run(stepwise.kept(self._connection.keys, queue, job_id, execution))

    def wait(self, queues: Sequence[str], seconds: float) -> None:
        """Return when there may be a job in one of the queues, after so long at the latest."""
        open_ones = [queue for queue in queues if self._seen[queue].refused != "paused"]
        if len(open_ones) < len(queues):
            # What lies in a queue that an operator holds back ends no wait; only a claim tells
            # that it is open again.
            seconds = min(seconds, self.settings.heartbeat.total_seconds())
        if not open_ones:
            time.sleep(seconds)
        elif len(open_ones) == 1:
            at_most = timedelta(seconds=min(seconds, MAX_BLOCK_S))
            self._run(self._leases[open_ones[0]].wait(self._worker, at_most))
        else:
            self.watch(open_ones, seconds)

    def watch(self, queues: Sequence[str], seconds: float) -> None:
        """Do the same without taking anything out of the queues."""
        if self._watch is not None:
            try:
                self._watch.wait(
                    [self._connection.keys.queue(queue) for queue in queues],
                    min(seconds, MAX_BLOCK_S),
                )
            except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
                raise RedisUnavailable(str(error)) from error
            except redis.ResponseError:
                # A login or a proxy that allows no tracking.
                self._watch = None
            return
        time.sleep(min(seconds, _GLANCE_S))

    def finish(self, outcomes: Sequence[Outcome]) -> dict[str, Recorded]:
        """Record how held executions ended; tries for as long as their leases last.

        Returns what became of each execution that is still held.
        """
        queues: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            if (queue := self._held.get(outcome.execution)) is not None:
                queues.setdefault(queue, []).append(outcome)
        recorded: dict[str, Recorded] = {}
        for queue, ended in queues.items():
            step = self._leases[queue].finish(self._worker, ended)
            became = self._connection.run(step, patience=self.settings.lease)
            recorded |= {o.execution: each for o, each in zip(ended, became, strict=True)}
        for execution in recorded:
            self.drop(execution)
        return recorded

    def give_back(self, executions: Sequence[str], *, patiently: bool = False) -> None:
        """Return held jobs to the front of their queues, as if they had never been claimed.

        Args:
            executions: theirs.
            patiently: try for as long as their leases last.
        """
        patience = self.settings.lease if patiently else timedelta(0)
        queues: dict[str, list[str]] = {}
        for execution in executions:
            queues.setdefault(self._held.pop(execution), []).append(execution)
        for queue, theirs in queues.items():
            step = self._leases[queue].release(self._worker, theirs)
            self._connection.run(step, patience=patience)

    def drop(self, execution: str) -> None:
        """Hold no longer what somebody else has recorded the end of."""
        self._held.pop(execution, None)

    def tidy(self, besides: Iterable[str] = ()) -> None:
        """Give back what is held without being known here: a reply may have been lost.

        Args:
            besides: executions that are known, but not to these books.
        """
        for leases in self._leases.values():
            self._run(leases.release(self._worker, known=[*self._held, *besides]))

    def beat(self) -> list[str]:
        """Extend the lease on each queue and on all that is held; join anew where it was lost.

        Returns the executions that are to be canceled.
        """
        orders: list[str] = []
        since = now()
        for queue in self._leases:
            answer = self._run(self._fleet.beat(queue, self._worker))
            orders += answer.cancel
            if answer.state is None:
                self._enlist(queue)
        self._tenure.renewed(since)
        return orders

    def sure(self) -> bool:
        """Return whether the leases cannot have run out since the last beat."""
        return self._tenure.sure()

    def reclaim(self) -> list[str]:
        """Give back the jobs of workers whose leases have run out; return those workers' names."""
        return [name for leases in self._leases.values() for name in self._run(leases.reclaim())]

    def leave(self, besides: Iterable[str] = ()) -> None:
        """Give everything back that is held here, and leave the books."""
        if self._watch is not None:
            self._watch.close()
        self._held.clear()
        self.tidy(besides)
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

    def _claim(self, queue: str, count: int, token: str) -> Claim:
        claimed = self._claim_once(queue, count, token)
        if claimed.refused not in {"", "paused"}:
            # Taken off the books, or drained with an environment that is open again.
            self._enlist(queue)
            claimed = self._claim_once(queue, count, token)
        self._seen[queue] = claimed
        self._held |= dict.fromkeys((job.execution for job in claimed.jobs), queue)
        return claimed

    def _claim_once(self, queue: str, count: int, token: str) -> Claim:
        return self._run(self._leases[queue].claim(self._worker, count, token))

    def _enlist(self, queue: str) -> None:
        self._run(self._fleet.enlist(queue, self._worker, self.settings.host, os.getpid()))

    def _run(self, step: Step[T]) -> T:
        return self._connection.run(step)
