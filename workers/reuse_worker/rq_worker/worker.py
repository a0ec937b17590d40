"""ReuseWorker: rq's worker in every way that its users see, on our leases."""

from __future__ import annotations

import inspect
import math
import time
from types import FrameType
from typing import Any

from rq.command import parse_payload
from rq.job import Job
from rq.queue import Queue
from rq.worker import BaseWorker

from reuse_queue.errors import InvalidSettings, RedisRefused, RedisUnavailable
from reuse_queue.settings import Settings
from reuse_worker.rq_worker.books import Books
from reuse_worker.rq_worker.claiming import ClaimingWorker
from reuse_worker.rq_worker.heart import Heart
from reuse_worker.rq_worker.leased import ColdShutdown, LeasedWorker
from reuse_worker.rq_worker.relief import Relief
from reuse_worker.rq_worker.replaced import starting_steps_replaced

_LISTEN_S = 0.25
_WORK = inspect.signature(BaseWorker.work)


class ReuseWorker(ClaimingWorker):
    """Runs rq's jobs in this process, one at a time, on the leases of this package.

    A drop-in for `rq.Worker` and `rq.SimpleWorker`: the same constructor, `work()`, command line,
    callbacks, retries, schedules, commands and records. A job is claimed, started and leased in
    one atomic step and recorded in another, whatever the number of queues; under backlog, short
    jobs are so together. A thread renews the leases; if the worker dies, its jobs are back in
    their queue as soon as the lease has run out.

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
        self._relief: Relief | None = None
        self._monitored = self._reclaimed = 0.0

    # -- a worker's life --------------------------------------------------------------------

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Work until told to stop (or, in a burst, until all queues are empty).

        Takes what `rq.Worker.work` takes; returns whether any job was run.
        """
        most = _WORK.bind(self, *args, **kwargs).arguments.get("max_jobs")
        # rq runs one where it is told none.
        self._left = math.inf if most is None else max(1, most)
        return bool(super().work(*args, **kwargs))

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Register as a worker, and in the books of every queue."""
        super().bootstrap(*args, **kwargs)
        if odd := self._with_other_keys():
            self.log.warning(
                "Worker %s: %s: without leases, since it has key names of its own", self.name, odd
            )
            return
        self._stepwise = starting_steps_replaced(self, LeasedWorker)
        self._books = Books(self.connection, self.name, self.queue_names())
        self._books.enlist()
        self._reclaim()
        every_s = min(
            self._books.settings.lease.total_seconds() / 6, float(self.job_monitoring_interval)
        )
        self._heart = Heart(self._beat, every_s)
        self._heart.start()
        self._relief = Relief(self._hand, self._relieve)
        self._relief.start()

    def _with_other_keys(self) -> str:
        """Return which class of an application keeps its data where our steps do not look."""
        if self.job_class.redis_job_namespace_prefix != Job.redis_job_namespace_prefix:
            return str(self.job_class)
        prefix = Queue.redis_queue_namespace_prefix
        odd = [each for each in self.queues if each.redis_queue_namespace_prefix != prefix]
        return str(type(odd[0])) if odd else ""

    def teardown(self) -> None:
        """Record what has ended, give back what is held, leave the books, register the death."""
        for thread in (self._heart, self._relief):
            if thread is not None:
                thread.stop()
        self._heart = self._relief = None
        if self._books is not None:
            try:
                self.flush()
                self._hand.give_back()
                self._books.leave(besides=list(self.executions) if self._stepwise else ())
            except RedisUnavailable as error:
                self.log.warning("Worker %s: could not leave: %s", self.name, error)
            self._books = None
        super().teardown()

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()
        self._interrupt.install()

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """End at once; the job that runs goes back to its queue."""
        try:
            super().request_force_stop(signum, frame)
        except SystemExit as end:
            raise ColdShutdown(end.code) from end

    # -- commands ---------------------------------------------------------------------------

    def subscribe(self) -> None:
        """Listen for commands; one that a wait for the next misses is heard soon all the same."""
        self.pubsub = self.connection.pubsub()
        self.pubsub.subscribe(**{self.pubsub_channel_name: self.handle_payload})
        self.pubsub_thread = self.pubsub.run_in_thread(
            sleep_time=_LISTEN_S, daemon=True, exception_handler=self._pubsub_exception_handler
        )

    def handle_payload(self, message: Any) -> None:
        """Obey a command; a job may be told to stop before it has begun here."""
        payload = parse_payload(message)
        if payload["command"] not in {"stop-job", "stop-execution"} or not self._hand.doom(
            payload.get("job_id", ""), payload.get("execution_id", "")
        ):
            super().handle_payload(message)

    def kill_horse(self, *_: Any, **__: Any) -> None:
        """End the job that was told to stop. There is no process to kill."""
        if self._stopped_job_id is not None:
            self._interrupt.send()

    # -- on other threads -------------------------------------------------------------------

    def _beat(self) -> None:
        books, at = self._books, time.monotonic()
        if books is None:
            return
        for execution in books.beat():
            # As a rule the command has been heard before; one may be lost.
            if execution in self.executions:
                self.request_stop_execution(execution)
            else:
                self._hand.doom("", execution)
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

    def _relieve(self) -> None:
        """Let nothing wait for the job that runs: it takes longer than those before it."""
        self._pace.stalled(time.monotonic() - self._hand.began)
        try:
            with self._recording:
                waiting = self._hand.give_back()
                self.flush()
                # The job that runs may run for hours: one try, which Redis may miss, is too few.
                self._give_back([each.execution.id for each in waiting], patiently=True)
        except (RedisRefused, RedisUnavailable) as error:
            self._untidy = True
            self.log.warning("Worker %s: could not give back: %s", self.name, error)
