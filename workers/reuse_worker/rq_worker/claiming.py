"""ClaimingWorker: how jobs come to a worker, one by one or a few milliseconds' worth ahead."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import redis
from rq.executions import Execution
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import now
from rq.worker import BaseWorker, DequeueStrategy, WorkerStatus

from reuse_queue.errors import RedisUnavailable
from reuse_queue.job import ClaimedJob
from reuse_worker.backoff import waits
from reuse_worker.batch import MOST_AHEAD
from reuse_worker.rq_worker import outcomes
from reuse_worker.rq_worker.books import Books
from reuse_worker.rq_worker.hand import Held
from reuse_worker.rq_worker.leased import LeasedWorker
from reuse_worker.rq_worker.loading import load

_BEAT = timedelta(seconds=30)


class ClaimingWorker(LeasedWorker):
    """Hands rq's loop jobs that are claimed, started and leased."""

    most_at_once = MOST_AHEAD
    """How many short jobs are claimed, and recorded, together under backlog; 1: each by itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._left: float = math.inf
        """How many more jobs it may run."""
        self._wary = False
        """Of the last jobs that came, some had better be run alone."""

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Any, Any] | None:
        """Return a job that is claimed, and its queue; None where there was none in time."""
        if self._books is None:
            found: tuple[Any, Any] | None = super().dequeue_job_and_maintain_ttl(
                timeout, max_idle_time
            )
            return found
        held = self._next(self._books)
        return self._begin(held) if held else self._await(self._books, timeout, max_idle_time)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Renew the worker's record; while it works, a beat so soon after another is left out."""
        fresh = self._books is not None and timeout is None and pipeline is None
        if not fresh or now() - self.last_heartbeat > _BEAT:
            super().heartbeat(timeout, pipeline)

    def check_for_suspension(self, burst: bool) -> None:  # noqa: FBT001  # rq's
        """Wait while workers are suspended; asked once for what is claimed together."""
        if self._books is not None and (
            len(self._hand) or not self.connection.exists(WORKERS_SUSPENDED)
        ):
            return
        super().check_for_suspension(burst)

    # ---------------------------------------------------------------------------------------

    def _await(
        self, books: Books, timeout: int | None, max_idle_time: int | None
    ) -> tuple[Any, Any] | None:
        began, pauses = time.monotonic(), waits()
        while True:
            try:
                self._note_idle()
                found = self._take(books) if self._stepwise else self._claim(books)
                left = _left(began, max_idle_time)
                if found is not None or timeout is None or left <= 0:
                    return found
                self._wait(books, left)
            except (RedisUnavailable, redis.ConnectionError, redis.TimeoutError) as error:
                self._untidy = True
                pause = next(pauses)
                self.log.warning(
                    "Worker %s: %s; trying again in %.1f seconds", self.name, error, pause
                )
                time.sleep(pause)

    def _note_idle(self) -> None:
        if self.get_state() != WorkerStatus.IDLE:
            self.set_state(WorkerStatus.IDLE)
            self.procline("Listening on " + ",".join(self.queue_names()))

    def _wait(self, books: Books, seconds: float) -> None:
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        self.heartbeat()
        names = self._names()
        (books.watch if self._stepwise else books.wait)(names, seconds)
        self.check_for_suspension(burst=False)

    def _names(self) -> list[str]:
        return [queue.name for queue in self._ordered_queues]

    def _queue(self, name: str) -> Any:
        return next(each for each in self._ordered_queues if each.name == name)

    # -- claimed ----------------------------------------------------------------------------

    def _claim(self, books: Books) -> tuple[Any, Any] | None:
        with self._recording:
            pass  # what is just being given back was here before all that is in the queue
        while True:
            self._make_sure(books)
            if (found := books.claim(self._names(), self._most(), self._pace)) is None:
                return None
            name, claimed = found
            self._hand.add(self._load(books, self._queue(name), self._wisely(books, claimed)))
            if (held := self._next(books)) is not None:
                return self._begin(held)

    def _next(self, books: Books) -> Held | None:
        """Take the job that is next; none where they may be somebody else's by now."""
        held = self._hand.next()
        if held is None or books.sure():
            return held
        for each in (held, *self._hand.give_back()):
            books.drop(each.execution.id)
        self._untidy = True
        return None

    def _make_sure(self, books: Books) -> None:
        """Hold the leases, and nothing that is not known here; the hand is empty."""
        if not books.sure():
            # What it says is to be canceled has not begun, and goes back.
            books.beat()
        if self._untidy:
            books.tidy()
            self._untidy = False

    def _most(self) -> int:
        """Return how many jobs may be claimed at once."""
        turns = len(self._ordered_queues) > 1 and (
            self._dequeue_strategy not in {None, DequeueStrategy.DEFAULT}
            or type(self).reorder_queues is not BaseWorker.reorder_queues
        )
        return 1 if turns or self._wary else int(min(self.most_at_once, self._left))

    def _wisely(self, books: Books, claimed: Sequence[ClaimedJob]) -> Sequence[ClaimedJob]:
        """Return the jobs to keep of those that were claimed.

        What was lost with its worker before may have been the death of it, and would take with it
        whatever is claimed together with it; what may run only once must not be lost unbegun.
        """
        self._wary = any(each.deliveries_lost or not each.redeliver for each in claimed)
        if self._wary and len(claimed) > 1:
            books.give_back([each.execution for each in claimed[1:]])
            return claimed[:1]
        return claimed

    def _load(self, books: Books, queue: Any, claimed: Sequence[ClaimedJob]) -> list[Held]:
        """Return what can be run of the jobs that were claimed; the end of the others is that."""
        ids = [each.id for each in claimed]
        held = []
        try:
            jobs = list(load(self.job_class, ids, self.connection, self.serializer))
        except (redis.ConnectionError, redis.TimeoutError):
            for each in claimed:
                books.drop(each.execution)
            raise
        for each, job in zip(claimed, jobs, strict=True):
            if isinstance(job, Exception):
                self._unreadable(books, each.id, each.execution, job)
                continue
            execution = Execution(each.execution, each.id, self.connection, self.name)
            execution._job = job  # noqa: SLF001  # as rq's own prepare_execution does
            held.append(Held(job, queue, execution))
        return held

    def _unreadable(self, books: Books, job_id: str, execution: str, error: Exception) -> None:
        self.log.warning("Worker %s: job %s is no job: %s", self.name, job_id, error)
        books.finish([outcomes.unreadable(job_id, execution, error)])

    def _begin(self, held: Held) -> tuple[Any, Any]:
        job, queue = held.job, held.queue
        self.executions[held.execution.id] = held.execution
        self._state = WorkerStatus.BUSY
        if held.doomed:
            self._stopped_job_id = job.id
        self._announce(job, queue)
        return job, queue

    def _announce(self, job: Any, queue: Any) -> None:
        self._left -= 1
        self.reorder_queues(reference_queue=queue)
        what = f"{job.description} ({job.id})" if self.log_job_description else job.id
        self.log.info("Worker %s: %s: %s", self.name, queue.name, what)

    # -- step by step -----------------------------------------------------------------------

    def _take(self, books: Books) -> tuple[Any, Any] | None:
        while (found := books.take(self._names())) is not None:
            name, job_id = found
            queue = self._queue(name)
            (job,) = load(self.job_class, [job_id], self.connection, self.serializer)
            if not isinstance(job, Exception):
                self._announce(job, queue)
                return job, queue
            execution = uuid4().hex
            if books.start(name, job_id, execution):
                self._unreadable(books, job_id, execution, job)
        return None

    def _start(self, job: Any) -> bool:
        execution = next((each for each in self.executions.values() if each.job_id == job.id), None)
        if not self._stepwise or self._books is None or execution is None:
            return False
        return self._books.start(job.origin, job.id, execution.id)


def _left(began: float, max_idle_time: int | None) -> float:
    """Return for how many seconds more to wait; without a limit, for ever."""
    return math.inf if max_idle_time is None else max_idle_time - (time.monotonic() - began)
