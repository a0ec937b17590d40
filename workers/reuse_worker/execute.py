"""One job: payload → call → Outcome. Nothing here knows Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from reuse_queue import context
from reuse_queue.board import Overdue
from reuse_queue.environment import TaskEnvironment
from reuse_queue.errors import DeadlinePassed, JobLost, UnknownTask
from reuse_queue.job import ClaimedJob, Outcome, Verdict
from reuse_queue.serializer import check_size
from reuse_queue.settings import Settings
from reuse_queue.signing import signer
from reuse_queue.task import Task
from reuse_worker.failures import describe


class Order(Enum):
    """Why a running call is stopped from outside."""

    CANCEL = "cancel"
    GIVE_BACK = "give back"


@dataclass(slots=True, eq=False)
class Call:
    """A claimed job, ready to run."""

    job: ClaimedJob
    task: Task[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    order: Order | None = None
    slot: int = -1
    """Where the board shows it while it runs; -1 before."""
    begun: bool = False
    """It was called, if on the loop."""
    running: asyncio.Task[None] | None = None
    ends_by: float | None = None
    """When the job's deadline passes, on CLOCK_MONOTONIC; None: it has none."""

    def limit(self) -> Limit | None:
        """Return what ends it first if it starts now; None: nothing does."""
        timeout, ends_by = self.job.timeout, self.ends_by
        if timeout is None:
            return None if ends_by is None else Limit(ends_by, Overdue.DEADLINE)
        stops_at = time.monotonic() + timeout.total_seconds()
        if ends_by is not None and ends_by < stops_at:
            return Limit(ends_by, Overdue.DEADLINE)
        return Limit(stops_at, Overdue.TIMEOUT)


@dataclass(frozen=True, slots=True)
class Limit:
    """When a call is to end, and why."""

    at: float
    """On CLOCK_MONOTONIC."""
    meaning: Overdue

    @property
    def left_s(self) -> float:
        """How long that is from now; negative once it is over."""
        return self.at - time.monotonic()


class Executor:
    """Turns the claimed jobs of one environment into calls, and calls into outcomes."""

    def __init__(self, env: TaskEnvironment, replica: str, settings: Settings) -> None:
        self.env = env
        self.settings = settings
        self._signer = signer(settings.signing_keys)
        self._replica = replica

    def load(self, job: ClaimedJob) -> Call | Outcome:
        """Return the call that a payload describes, or the failure that it is.

        Only what is registered on the environment is ever called; nothing is imported. Where
        there are signing keys, what none of them has signed is not even read.
        """
        try:
            if self._signer is not None:
                self._signer.check(job.id, self.env.name, job.data, job.signature)
            name, args, kwargs = self.env.serializer.unpack(job.data)
            task = self.env.lookup(name)
            args, kwargs = task.signature.arguments(args, kwargs)
        except UnknownTask as error:
            error.add_note(f"Registered here: {', '.join(self.env.tasks) or 'no task at all'}.")
            # No final failure: a retry may meet a replica whose code has the task.
            return failed(job, error)
        except Exception as error:  # noqa: BLE001  # the arguments' own classes may raise anything
            return failed(job, error, final=True)
        call = Call(job, task, args, kwargs)
        if job.ends_in is not None:
            call.ends_by = time.monotonic() + job.ends_in.total_seconds()
        return call

    async def run(self, call: Call, limit: Limit | None = None) -> Outcome:
        """Run a coroutine task; whatever it raises is this job's failure.

        Its limit ends it; so does a cancel, after its `finally` blocks have run.
        """
        job, began = call.job, time.perf_counter()
        left_s = None if limit is None else limit.left_s
        if left_s is not None and left_s <= 0:
            return _late_to_start(job)
        scope = asyncio.timeout(left_s)
        try:
            with context.running(self._running(job)):
                async with scope:
                    value = await call.task.function(*call.args, **call.kwargs)
        except BaseException as error:  # noqa: BLE001  # SystemExit ends the job, not the replica
            if limit is not None and scope.expired() and isinstance(error, TimeoutError):
                return _late(job, limit.meaning, error, began)
            return failed(job, error, began=began)
        return self._finished(job, value, began)

    def run_here(self, call: Call) -> Outcome:
        """Run a sync task on the calling thread; whatever it raises is this job's failure."""
        job, began = call.job, time.perf_counter()
        if call.ends_by is not None and call.ends_by <= time.monotonic():
            return _late_to_start(job)
        try:
            with context.running(self._running(job)):
                value = call.task.function(*call.args, **call.kwargs)
        except BaseException as error:  # noqa: BLE001  # SystemExit ends the job, not the replica
            return failed(job, error, began=began)
        return self._finished(job, value, began)

    def _running(self, job: ClaimedJob) -> context.RunningJob:
        return context.RunningJob(
            id=job.id,
            execution=job.execution,
            environment=self.env.name,
            replica=self._replica,
            retries_left=job.retries_left,
            deliveries_lost=job.deliveries_lost,
        )

    def _finished(self, job: ClaimedJob, value: object, began: float) -> Outcome:
        took = time.perf_counter() - began
        data = None
        if value is not None:
            try:
                data = self.env.serializer.dumps(value)
                check_size("the result", data, self.settings.max_payload)
            except Exception as error:  # noqa: BLE001  # the value's own class may raise anything
                return failed(job, error, final=True, began=began)
        return Outcome(
            job_id=job.id,
            execution=job.execution,
            verdict=Verdict.FINISHED,
            value=data,
            result_ttl=job.result_ttl,
            took=timedelta(seconds=took),
        )


def failed(
    job: ClaimedJob, error: BaseException, *, final: bool = False, began: float | None = None
) -> Outcome:
    """Return the outcome of a job that raised; `final`: a retry would only repeat it."""
    took = 0.0 if began is None else time.perf_counter() - began
    return Outcome(
        job_id=job.id,
        execution=job.execution,
        verdict=Verdict.FAILED,
        error=describe(error),
        retry=not final,
        result_ttl=job.result_ttl,
        took=timedelta(seconds=took),
    )


def canceled(job: ClaimedJob) -> Outcome:
    """Return the outcome of a job that was canceled, and has given way."""
    return Outcome(
        job_id=job.id,
        execution=job.execution,
        verdict=Verdict.CANCELED,
        retry=False,
        result_ttl=job.result_ttl,
    )


def interrupted(job: ClaimedJob) -> Outcome:
    """Return the outcome of a job that was stopped with its replica and may not run again."""
    text = f"job {job.id} was stopped with its replica, and may run only once"
    return failed(job, JobLost(text), final=True)


def _late(job: ClaimedJob, meaning: Overdue, error: BaseException, began: float) -> Outcome:
    """Return the failure that names the limit; its cause shows where the coroutine was."""
    cause = error.__cause__ or error.__context__  # the latter before Python 3.11.3
    if meaning is Overdue.DEADLINE:
        late: TimeoutError = DeadlinePassed(f"job {job.id} had not ended by its deadline")
    else:
        limit = job.timeout.total_seconds() if job.timeout else 0
        late = TimeoutError(f"the job ran longer than its timeout of {limit:g} s")
    late.__cause__ = cause
    return failed(job, late, final=meaning is Overdue.DEADLINE, began=began)


def _late_to_start(job: ClaimedJob) -> Outcome:
    """Return the failure of a job that has waited here, for its turn, past its deadline."""
    text = f"job {job.id} had not been started by its deadline"
    return failed(job, DeadlinePassed(text), final=True)
