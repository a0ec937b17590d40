"""LeasedWorker: rq's steps on a job, those on a claimed one taken by our books."""

from __future__ import annotations

import threading
import time
from typing import Any

from rq.callbacks import execute_stopped_callback
from rq.job import JobStatus
from rq.utils import now
from rq.worker import BaseWorker, WorkerStatus

from reuse_queue.errors import RedisUnavailable
from reuse_queue.job import Outcome, Recorded
from reuse_worker.rq_worker import outcomes
from reuse_worker.rq_worker.books import Books
from reuse_worker.rq_worker.interrupt import Interrupt, JobStopped


class ColdShutdown(SystemExit):
    """The worker was told twice to end: what it runs goes back to its queue."""


class NotRecorded(Exception):
    """How a job ended was not written: its lease had been lost, or Redis."""


class LeasedWorker(BaseWorker):  # type: ignore[misc]  # rq's classes are not typed
    """Runs jobs and records their ends, from `execute_job` on.

    Steps on a job that was not claimed here (a subclass or a test takes them) are left to rq.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._books: Books | None = None
        self._interrupt = Interrupt()
        # The thread that beats must not write of an execution whose end is being recorded.
        self._recording = threading.Lock()
        self._stopped_job_id: str | None = None
        self._untidy = False
        """A reply was lost: more may be held than is known here."""

    # -- jobs run and end -------------------------------------------------------------------

    def execute_job(self, job: Any, queue: Any) -> None:
        """Run a job here and record its end."""
        execution = next((each for each in self._claimed() if each.job_id == job.id), None)
        if execution is None:
            self.perform_job(job, queue, self.prepare_execution(job))
            self.set_state(WorkerStatus.IDLE)
            return
        try:
            self._run(job, queue, execution)
        except NotRecorded as error:
            self.log.warning("Worker %s: job %s: %s", self.name, job.id, error)
        self._state = WorkerStatus.IDLE  # as the step that recorded the end has written

    def _run(self, job: Any, queue: Any, execution: Any) -> None:
        try:
            self._interrupt.open()
            # It may have been told to stop before it could be interrupted.
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
        if any(each.job_id == job.id for each in self._claimed()):
            self.procline(f"Processing {job.func_name} from {job.origin} since {time.time()}")
        else:
            super().prepare_job_execution(job, remove_from_intermediate_queue)

    def handle_execution_ended(self, job: Any, queue: Any, heartbeat_ttl: int) -> None:
        """Note when the function returned or raised."""
        self._interrupt.close()
        if any(each.job_id == job.id for each in self._claimed()):
            job.ended_at = now()
        else:
            super().handle_execution_ended(job, queue, heartbeat_ttl)

    def handle_job_success(
        self, job: Any, queue: Any, started_job_registry: Any, execution: Any
    ) -> None:
        """Record a job that returned."""
        if not self._is_claimed(execution):
            super().handle_job_success(job, queue, started_job_registry, execution)
            return
        result_ttl = job.get_result_ttl(self.default_result_ttl)
        self._record(execution, outcomes.finished(job, execution, result_ttl))
        what = job.description if self.log_job_description else job.id
        took = job.ended_at - job.started_at
        self.log.info("Worker %s: %s finished after %s", self.name, what, took)

    def handle_job_retry(
        self, job: Any, queue: Any, retry: Any, started_job_registry: Any, execution: Any
    ) -> None:
        """Record a job that returned a `Retry`."""
        if not self._is_claimed(execution):
            super().handle_job_retry(job, queue, retry, started_job_registry, execution)
        elif self._record(execution, outcomes.again(job, execution, retry)) is Recorded.FAILED:
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
        if not self._is_claimed(execution):
            super().handle_job_failure(job, queue, started_job_registry, exc_string, execution)
        elif self.disable_default_exception_handler:
            with self._recording:
                super().handle_job_failure(job, queue, started_job_registry, exc_string, execution)
                self._hold_no_longer(execution)
        elif self._stopped_job_id == job.id:
            self._stopped_job_id = None
            self._record(execution, outcomes.stopped(job, execution, exc_string))
        else:
            recorded = self._record(execution, outcomes.failed(job, execution, exc_string))
            if recorded is Recorded.FAILED:
                job.send_webhooks(JobStatus.FAILED, exc_string=exc_string)

    def _finalize_failure(self, job: Any, queue: Any, execution: Any, exc_info: Any) -> None:
        self._interrupt.close()
        error = exc_info[1]
        if self._is_claimed(execution) and isinstance(error, ColdShutdown):
            self._give_back(execution)
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

    def _claimed(self) -> list[Any]:
        return [each for each in self.executions.values() if self._is_claimed(each)]

    def _is_claimed(self, execution: Any) -> bool:
        return self._books is not None and execution is not None and self._books.holds(execution.id)

    def _record(self, execution: Any, outcome: Outcome) -> Recorded:
        """Record an end and return what became of it.

        Raises:
            NotRecorded: nothing was written, or only that the job is canceled.
        """
        assert self._books is not None  # noqa: S101  # only claimed executions come here
        with self._recording:
            try:
                recorded = self._books.finish(outcome)
            except RedisUnavailable as error:
                self._untidy = True
                raise NotRecorded(f"its end could not be recorded: {error}") from error
            finally:
                self._hold_no_longer(execution)
        if recorded in {Recorded.LOST, Recorded.CANCELED}:
            raise NotRecorded(f"its end was not recorded: {recorded.value}")
        return recorded

    def _give_back(self, execution: Any) -> None:
        with self._recording:
            if self._books is not None:
                self._books.give_back(execution.id)
            self.executions.pop(execution.id, None)

    def _hold_no_longer(self, execution: Any) -> None:
        self.executions.pop(execution.id, None)
        if self._books is not None:
            self._books.drop(execution.id)
