"""LeasedWorker: rq's steps on a job, those on a claimed one taken by our books."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rq.callbacks import execute_stopped_callback
from rq.job import JobStatus
from rq.utils import now
from rq.worker import BaseWorker, WorkerStatus

from reuse_queue.errors import RedisRefused, RedisUnavailable
from reuse_queue.job import Outcome, Recorded
from reuse_worker.batch import Pace
from reuse_worker.rq_worker import outcomes
from reuse_worker.rq_worker.books import Books
from reuse_worker.rq_worker.decided import was_stopped
from reuse_worker.rq_worker.hand import End, Hand
from reuse_worker.rq_worker.interrupt import Interrupt, JobStopped
from reuse_worker.rq_worker.replaced import queue_steps_replaced


class ColdShutdown(SystemExit):
    """The worker was told twice to end: what it holds goes back to its queue."""


class NotRecorded(Exception):
    """How a job ended was not written: its lease had been lost, or Redis."""


class LeasedWorker(BaseWorker):  # type: ignore[misc]  # rq's classes are not typed
    """Runs jobs and records their ends, from `execute_job` on.

    Steps on a job that was not claimed here (a subclass or a test takes them) are left to rq.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._books: Books | None = None
        self._hand = Hand()
        self._pace = Pace()
        self._interrupt = Interrupt()
        # The threads that beat and relieve must not write of an end that is being recorded.
        self._recording = threading.RLock()
        self._stopped_job_id: str | None = None
        self._stepwise = False
        """An application has replaced the steps that start a job: it starts where rq starts it."""
        self._untidy = False
        """A reply was lost: more may be held than is known here."""

    # -- jobs run and end -------------------------------------------------------------------

    def execute_job(self, job: Any, queue: Any) -> None:
        """Run a job here and record its end."""
        execution = next((each for each in self._claimed() if each.job_id == job.id), None)
        if execution is None:
            execution = self.prepare_execution(job)
        try:
            self._run(job, queue, execution)
        except NotRecorded as error:
            self.log.warning("Worker %s: job %s: %s", self.name, job.id, error)
        if self._books is None or self._stepwise:
            self.set_state(WorkerStatus.IDLE)
        elif self._hand.empty:
            self._state = WorkerStatus.IDLE  # as the step that recorded the end has written

    def _run(self, job: Any, queue: Any, execution: Any) -> None:
        try:
            self._interrupt.open()
            # It may have been told to stop before it could be interrupted.
            if was_stopped(job):
                self._stopped_job_id = job.id
            if self._stopped_job_id == job.id:
                raise JobStopped  # noqa: TRY301  # as the interrupt does
            self.perform_job(job, queue, execution)
        except JobStopped:
            self._handle_stopped_job(job, queue, execution)
        finally:
            self._interrupt.close()
            # A stop that came too late must not stop the job's next run.
            self._stopped_job_id = None

    def prepare_job_execution(
        self,
        job: Any,
        remove_from_intermediate_queue: bool = False,  # noqa: FBT001, FBT002  # rq's
    ) -> None:
        """Name the job in the process list; a claimed one has been started by its claim."""
        if self._claimed() or self._start(job):
            self.procline(f"Processing {job.func_name} from {job.origin} since {time.time()}")
        else:
            super().prepare_job_execution(job, remove_from_intermediate_queue)

    def handle_execution_ended(self, job: Any, queue: Any, heartbeat_ttl: int) -> None:
        """Note when the function returned or raised."""
        self._interrupt.close()
        if self._claimed():
            job.ended_at = now()
        else:
            super().handle_execution_ended(job, queue, heartbeat_ttl)

    def handle_job_success(
        self, job: Any, queue: Any, started_job_registry: Any, execution: Any
    ) -> None:
        """Record a job that returned; under backlog, together with those that follow."""

        def in_rqs_way() -> None:
            super(LeasedWorker, self).handle_job_success(
                job, queue, started_job_registry, execution
            )

        if not self._is_claimed(execution):
            in_rqs_way()
        elif queue_steps_replaced(queue):
            self._leave_to_rq(execution, in_rqs_way)
        else:
            result_ttl = job.get_result_ttl(self.default_result_ttl)
            ended = outcomes.finished(job, execution, result_ttl)
            end = End(ended, job, execution, in_rqs_way)
            self._pace.ran(ended.took.total_seconds(), len(job.data))
            self.executions.pop(execution.id, None)
            # What others wait for is not kept back.
            waits = not (job.webhooks or job.repeats_left or job.rate_limit_key)
            if not self._hand.keep(end) or not waits:
                self._recorded(end)

    def handle_job_retry(
        self, job: Any, queue: Any, retry: Any, started_job_registry: Any, execution: Any
    ) -> None:
        """Record a job that returned a `Retry`."""

        def in_rqs_way() -> None:
            super(LeasedWorker, self).handle_job_retry(
                job, queue, retry, started_job_registry, execution
            )

        if not self._is_claimed(execution):
            in_rqs_way()
            return
        ended = outcomes.again(job, execution, retry)
        if self._record(job, execution, ended, in_rqs_way) is Recorded.FAILED:
            job.send_webhooks(JobStatus.FAILED, exc_string="")

    def handle_job_failure(
        self,
        job: Any,
        queue: Any,
        started_job_registry: Any = None,
        exc_string: str = "",
        execution: Any = None,
    ) -> None:
        """Record a job that raised, for another try or for good."""

        def in_rqs_way() -> None:
            super(LeasedWorker, self).handle_job_failure(
                job, queue, started_job_registry, exc_string, execution
            )

        if not self._is_claimed(execution):
            in_rqs_way()
        elif self.disable_default_exception_handler or queue_steps_replaced(queue):
            self._leave_to_rq(execution, in_rqs_way)
        elif self._stopped_job_id == job.id:
            self._record(job, execution, outcomes.stopped(job, execution, exc_string), in_rqs_way)
            self._stopped_job_id = None
        else:
            ended = outcomes.failed(job, execution, exc_string)
            if self._record(job, execution, ended, in_rqs_way) is Recorded.FAILED:
                job.send_webhooks(JobStatus.FAILED, exc_string=exc_string)

    def _finalize_failure(self, job: Any, queue: Any, execution: Any, exc_info: Any) -> None:
        self._interrupt.close()
        error = exc_info[1]
        if self._is_claimed(execution) and isinstance(error, ColdShutdown):
            self._give_back([execution.id, *(each.execution.id for each in self._hand.give_back())])
        if isinstance(error, ColdShutdown | JobStopped | NotRecorded):
            raise error
        super()._finalize_failure(job, queue, execution, exc_info)

    def _handle_stopped_job(self, job: Any, queue: Any, execution: Any) -> None:
        job.ended_at = now()
        self.log.warning("Worker %s: job %s was stopped", self.name, job.id)
        try:
            execute_stopped_callback(job, self.death_penalty_class)
        except Exception:
            self.log.exception("Worker %s: stopped callback of %s raised", self.name, job.id)
        self.handle_job_failure(job, queue, exc_string=outcomes.STOPPED_TEXT, execution=execution)

    # -- what it holds ----------------------------------------------------------------------

    def _start(self, job: Any) -> bool:
        """Claim a job that was taken but is not started; False where that is rq's business."""
        raise NotImplementedError

    def _claimed(self) -> list[Any]:
        return [each for each in self.executions.values() if self._is_claimed(each)]

    def _is_claimed(self, execution: Any) -> bool:
        return self._books is not None and execution is not None and self._books.holds(execution.id)

    def _record(
        self, job: Any, execution: Any, outcome: Outcome, in_rqs_way: Callable[[], None]
    ) -> Recorded:
        """Record an end, after those that wait for it, and return what became of it.

        Raises:
            NotRecorded: nothing was written, or only that the job is canceled.
        """
        end = End(outcome, job, execution, in_rqs_way)
        self._hand.keep(end)
        return self._recorded(end)

    def _recorded(self, end: End) -> Recorded:
        self.flush()
        if end.recorded is None:
            raise NotRecorded("its end could not be recorded")
        if end.recorded in {Recorded.LOST, Recorded.CANCELED}:
            raise NotRecorded(f"its end was not recorded: {end.recorded.value}")
        return end.recorded

    def flush(self) -> None:
        """Record all ends that are not recorded yet; from any thread."""
        with self._recording:
            ends = self._hand.ends()
            if not ends or self._books is None:
                return
            try:
                self._settle(self._books, ends)
            finally:
                for end in ends:
                    self._hold_no_longer(end.execution)

    def _settle(self, books: Books, ends: list[End]) -> None:
        try:
            recorded = books.finish([end.outcome for end in ends])
        except (RedisRefused, RedisUnavailable) as error:
            if isinstance(error, RedisRefused) and len(ends) > 1:
                # One value that is too large, say, must not cost the others theirs.
                for end in ends:
                    self._settle(books, [end])
                return
            self._untidy = True
            self.log.warning("Worker %s: %d ends not recorded: %s", self.name, len(ends), error)
            return
        for end in ends:
            end.recorded = recorded.get(end.execution.id)
            if end.recorded is Recorded.LOST:
                self._lost(end)

    def _lost(self, end: End) -> None:
        """Let a job that was canceled while it ran end as rq lets it: as if it had not been."""
        status, holder = self.connection.hmget(end.job.key, "status", "worker_name")
        if status == b"canceled" and holder == self.name.encode():
            end.in_rqs_way()
            end.recorded = Recorded.FINISHED
        else:
            self.log.warning("Worker %s: the lease of job %s was lost", self.name, end.job.id)

    def _leave_to_rq(self, execution: Any, in_rqs_way: Callable[[], None]) -> None:
        """Let rq record an end, unless the job has gone to another worker."""
        with self._recording:
            self.flush()
            assert self._books is not None  # noqa: S101  # only claimed executions come here
            kept = self._books.keeps(execution.id, execution.job_id)
            if kept:
                in_rqs_way()
            self._hold_no_longer(execution)
        if not kept:
            raise NotRecorded("its end was not recorded: lost")
        self.set_state(WorkerStatus.IDLE if self._hand.empty else WorkerStatus.BUSY)

    def _give_back(self, executions: list[str], *, patiently: bool = False) -> None:
        with self._recording:
            if self._books is not None:
                held = [each for each in executions if self._books.holds(each)]
                self._books.give_back(held, patiently=patiently)
            for each in executions:
                self.executions.pop(each, None)

    def _hold_no_longer(self, execution: Any) -> None:
        self.executions.pop(execution.id, None)
        if self._books is not None:
            self._books.drop(execution.id)
