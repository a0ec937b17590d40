"""ReuseWorker: rq's worker in every way that its users see, on our leases."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from types import FrameType
from typing import Any

import redis
from rq.executions import Execution
from rq.job import Job
from rq.queue import Queue
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import now
from rq.worker import WorkerStatus

from reuse_queue.errors import InvalidSettings, RedisUnavailable
from reuse_queue.job import ClaimedJob
from reuse_queue.settings import Settings
from reuse_worker.backoff import waits
from reuse_worker.rq_worker import outcomes
from reuse_worker.rq_worker.books import Books
from reuse_worker.rq_worker.heart import Heart
from reuse_worker.rq_worker.leased import ColdShutdown, LeasedWorker

_BEAT = timedelta(seconds=30)
_LISTEN_S = 0.25


class ReuseWorker(LeasedWorker):
    """Runs rq's jobs in this process, one at a time, on the leases of this package.

    A drop-in for `rq.Worker` and `rq.SimpleWorker`: the same constructor, `work()`, command line,
    callbacks, retries, schedules, commands and records. A job is claimed, started and leased in
    one atomic step and recorded in another, whatever the number of queues; a thread renews the
    lease while the job runs; if the worker dies, the job is back in its queue as soon as the
    lease has run out.

    It runs any function that a job names, as rq does.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if Settings.from_env().signing_keys:
            raise InvalidSettings(
                "REUSE_QUEUE_SIGNING_KEYS is set, and this worker runs whatever rq's clients "
                "enqueue, who cannot sign: unset it here, or let `reuse-queue agent` run this queue"
            )
        self._heart: Heart | None = None
        self._monitored = self._reclaimed = 0.0

    # -- a worker's life --------------------------------------------------------------------

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Work until told to stop (or, in a burst, until all queues are empty).

        Takes what `rq.Worker.work` takes; returns whether any job was run.
        """
        return bool(super().work(*args, **kwargs))

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Register as a worker, and in the books of every queue."""
        super().bootstrap(*args, **kwargs)
        if odd := self._with_other_keys():
            self.log.warning(
                "Worker %s: %s: without leases, since it has key names of its own", self.name, odd
            )
            return
        self._books = Books(self.connection, self.name, self.queue_names())
        self._books.enlist()
        self._reclaim()
        every_s = min(
            self._books.settings.lease.total_seconds() / 6, float(self.job_monitoring_interval)
        )
        self._heart = Heart(self._beat, every_s)
        self._heart.start()

    def _with_other_keys(self) -> str:
        """Return which class of an application keeps its data where our steps do not look."""
        if self.job_class.redis_job_namespace_prefix != Job.redis_job_namespace_prefix:
            return str(self.job_class)
        prefix = Queue.redis_queue_namespace_prefix
        odd = [each for each in self.queues if each.redis_queue_namespace_prefix != prefix]
        return str(type(odd[0])) if odd else ""

    def teardown(self) -> None:
        """Give back what is held, leave the books, and register the death."""
        if self._heart is not None:
            self._heart.stop()
            self._heart = None
        if self._books is not None:
            try:
                self._books.leave()
            except RedisUnavailable as error:
                self.log.warning("Worker %s: could not leave: %s", self.name, error)
            self._books = None
        super().teardown()

    def subscribe(self) -> None:
        """Listen for commands; one that a wait for the next misses is heard soon all the same."""
        self.pubsub = self.connection.pubsub()
        self.pubsub.subscribe(**{self.pubsub_channel_name: self.handle_payload})
        self.pubsub_thread = self.pubsub.run_in_thread(
            sleep_time=_LISTEN_S, daemon=True, exception_handler=self._pubsub_exception_handler
        )

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()
        self._interrupt.install()

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """End at once; the job that runs goes back to its queue."""
        try:
            super().request_force_stop(signum, frame)
        except SystemExit as end:
            raise ColdShutdown(end.code) from end

    def kill_horse(self, *_: Any, **__: Any) -> None:
        """End the job that was told to stop. There is no process to kill."""
        if self._stopped_job_id is not None:
            self._interrupt.send()

    # -- jobs come --------------------------------------------------------------------------

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Any, Any] | None:
        """Return a job that is claimed, and its queue; None where there was none in time."""
        if self._books is None:
            found: tuple[Any, Any] | None = super().dequeue_job_and_maintain_ttl(
                timeout, max_idle_time
            )
            return found
        began, pauses = time.monotonic(), waits()
        while True:
            try:
                self._note_idle()
                claimed = self._claim(self._books)
                left = _left(began, max_idle_time)
                if claimed is not None or timeout is None or left <= 0:
                    return claimed
                self._wait(self._books, left)
            except (RedisUnavailable, redis.ConnectionError, redis.TimeoutError) as error:
                self._untidy = True
                pause = next(pauses)
                self.log.warning(
                    "Worker %s: %s; trying again in %.1f seconds", self.name, error, pause
                )
                time.sleep(pause)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Renew the worker's record; while it works, a beat so soon after another is left out."""
        fresh = self._books is not None and timeout is None and pipeline is None
        if not fresh or now() - self.last_heartbeat > _BEAT:
            super().heartbeat(timeout, pipeline)

    def check_for_suspension(self, burst: bool) -> None:  # noqa: FBT001  # rq's
        """Wait while workers are suspended; between jobs that is one question, with no beat."""
        if self._books is None or self.connection.exists(WORKERS_SUSPENDED):
            super().check_for_suspension(burst)

    def _note_idle(self) -> None:
        if self.get_state() != WorkerStatus.IDLE:
            self.set_state(WorkerStatus.IDLE)
            self.procline("Listening on " + ",".join(self.queue_names()))

    def _claim(self, books: Books) -> tuple[Any, Any] | None:
        if self._untidy:
            books.tidy()
            self._untidy = False
        while (found := books.claim([queue.name for queue in self._ordered_queues])) is not None:
            name, claimed = found
            queue = next(each for each in self._ordered_queues if each.name == name)
            job = self._load(books, claimed)
            if job is not None:
                self.reorder_queues(reference_queue=queue)
                what = f"{job.description} ({job.id})" if self.log_job_description else job.id
                self.log.info("Worker %s: %s: %s", self.name, queue.name, what)
                return job, queue
        return None

    def _load(self, books: Books, claimed: ClaimedJob) -> Any:
        """Return rq's job, noted as running; None where its record is unsound (that is its end)."""
        try:
            job = self.job_class.fetch(
                claimed.id, connection=self.connection, serializer=self.serializer
            )
        except (redis.ConnectionError, redis.TimeoutError):
            books.drop(claimed.execution)
            raise
        except Exception as error:  # noqa: BLE001  # whatever stands in its record
            self.log.warning("Worker %s: job %s is no job: %s", self.name, claimed.id, error)
            books.finish(outcomes.unreadable(claimed, error))
            return None
        execution = Execution(claimed.execution, claimed.id, self.connection, self.name)
        execution._job = job  # noqa: SLF001  # as rq's own prepare_execution does
        self.executions[execution.id] = execution
        self._state = WorkerStatus.BUSY
        return job

    def _wait(self, books: Books, seconds: float) -> None:
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()
        self.heartbeat()
        books.wait([queue.name for queue in self._ordered_queues], seconds)
        self.check_for_suspension(burst=False)

    # -- on the thread that beats -----------------------------------------------------------

    def _beat(self) -> None:
        books, at = self._books, time.monotonic()
        if books is None:
            return
        for execution in books.beat():
            # As a rule the command has been heard before; one may be lost.
            if execution in self.executions:
                self.request_stop_execution(execution)
        if at - self._reclaimed > books.settings.lease.total_seconds() / 3:
            self._reclaim()
        if at - self._monitored >= self.job_monitoring_interval:
            self._monitored = at
            with self._recording:
                for execution in self._claimed():
                    self.maintain_heartbeats(execution.job, execution)

    def _reclaim(self) -> None:
        self._reclaimed = time.monotonic()
        if self._books is not None:
            for name in self._books.reclaim():
                self.log.warning("Worker %s: gave back the jobs of lost %s", self.name, name)


def _left(began: float, max_idle_time: int | None) -> float:
    """Return for how many seconds more to wait; without a limit, for ever."""
    return math.inf if max_idle_time is None else max_idle_time - (time.monotonic() - began)
