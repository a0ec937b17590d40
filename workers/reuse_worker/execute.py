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
from reuse_queue.environment import TaskEnvironment
from reuse_queue.errors import JobLost, UnknownTask
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
        return Call(job, task, args, kwargs)

    async def run(self, call: Call) -> Outcome:
        """Run a coroutine task; whatever it raises is this job's failure.

        Its own time limit ends it; so does a cancel, after its `finally` blocks have run.
        """
        job, began = call.job, time.perf_counter()
        limit = asyncio.timeout(None if job.timeout is None else job.timeout.total_seconds())
        try:
            with context.running(self._running(job)):
                async with limit:
                    value = await call.task.function(*call.args, **call.kwargs)
        except BaseException as error:  # noqa: BLE001  # SystemExit ends the job, not the replica
            late = limit.expired() and isinstance(error, TimeoutError)
            return failed(job, _late(job, error) if late else error, began=began)
        return self._finished(job, value, began)

    def run_here(self, call: Call) -> Outcome:
        """Run a sync task on the calling thread; whatever it raises is this job's failure."""
        job, began = call.job, time.perf_counter()
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


def _late(job: ClaimedJob, error: BaseException) -> BaseException:
    """Return an error that names the limit; its cause shows where the coroutine was."""
    limit = job.timeout.total_seconds() if job.timeout else 0
    named = TimeoutError(f"the job ran longer than its timeout of {limit:g} s")
    named.__cause__ = error.__cause__ or error.__context__  # the latter before Python 3.11.3
    return named
