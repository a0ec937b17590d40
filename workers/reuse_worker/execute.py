"""One job: payload → call → Outcome. Nothing here knows Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from sys import modules

from reuse_queue import context
from reuse_queue.board import Overdue
from reuse_queue.callbacks import check_known
from reuse_queue.ends import When, named_ends
from reuse_queue.environment import TaskEnvironment
from reuse_queue.errors import (
    DeadlinePassed,
    InvalidSignature,
    UnknownCallback,
    UnknownTask,
)
from reuse_queue.job import Again, ClaimedJob, Decided, Outcome, Verdict
from reuse_queue.lineage import Lineage
from reuse_queue.settings import Settings
from reuse_queue.signing import signer
from reuse_worker.call import Call, Limit, Order
from reuse_worker.failures import describe, error_of
from reuse_worker.retry import asked

_ORDERS = {Verdict.CANCELED: Order.CANCEL, Verdict.STOPPED: Order.HALT}


class Executor:
    """Turns the claimed jobs of one environment into calls, and calls into outcomes.

    Args:
        env: the environment with its tasks.
        replica: the replica's name.
        settings: the limits.
        enter: makes the job of that id the current one for rq, in the running context.
    """

    def __init__(
        self, env: TaskEnvironment, replica: str, settings: Settings, enter: Callable[[str], None]
    ) -> None:
        self.env = env
        self.settings = settings
        self._signer = signer(settings.signing_keys)
        self._replica = replica
        self._enter = enter

    def load(self, job: ClaimedJob) -> Call | Outcome:
        """Return the call that a payload describes, or the failure that it is.

        Only what is registered on the environment is ever called; nothing is imported. Where
        there are signing keys, what none of them has signed is not even read.
        """
        try:
            self._check_signature(job)
        except InvalidSignature as error:
            # What it names for its failure is not to be believed either.
            return replace(failed(job, error, final=True), forged=True)
        if job.decided is not None:
            return _decided(self.env, job, job.decided)
        try:
            name, args, kwargs = self.env.serializer.unpack(job.data, self.settings.max_payload)
            task = self.env.lookup(name)
            args, kwargs = task.signature.arguments(args, kwargs)
            if job.callbacks is not None:
                check_known(self.env.name, self.env.callbacks, job.callbacks)
            if job.webhooks is not None:
                self.env.allow_webhooks.check(job.webhooks)
        except (UnknownTask, UnknownCallback) as error:
            known = self.env.tasks if isinstance(error, UnknownTask) else self.env.callbacks
            error.add_note(f"Registered here: {', '.join(known) or 'nothing at all'}.")
            # No final failure: a retry may meet a replica whose code has it.
            return _refused(self.env, job, error, final=False)
        except BaseException as error:  # noqa: BLE001  # unpickling may raise, and exit, as it likes
            return _refused(self.env, job, error, final=True)
        call = Call(job, task.function, task.is_async, args, kwargs, name)
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
            return _late_to_start(call, began)
        scope = asyncio.timeout(left_s)
        if "rq.job" in modules:
            self._enter(job.id)
        try:
            running = self.running(job, call.lineage, coroutine=True)
            with context.running(running, call.place):
                async with scope:
                    value = await call.function(*call.args, **call.kwargs)
        except BaseException as error:  # noqa: BLE001  # SystemExit ends the job, not the replica
            if limit is not None and scope.expired() and isinstance(error, TimeoutError):
                return _late(call, limit.meaning, error, began)
            return _raised(call, error, began)
        finally:
            if call.place is not None:
                call.place.close()
        return self._finished(call, value, began)

    def run_here(self, call: Call) -> Outcome:
        """Run a sync task on the calling thread; whatever it raises is this job's failure."""
        job, began = call.job, time.perf_counter()
        if call.ends_by is not None and call.ends_by <= time.monotonic():
            return _late_to_start(call, began)
        if "rq.job" in modules:
            self._enter(job.id)
        try:
            with context.running(self.running(job, call.lineage), call.place):
                value = call.function(*call.args, **call.kwargs)
        except BaseException as error:  # noqa: BLE001  # SystemExit ends the job, not the replica
            return _raised(call, error, began)
        finally:
            if call.place is not None:
                call.place.close()
        return self._finished(call, value, began)

    def running(
        self, job: ClaimedJob, lineage: Lineage, part: str = "", *, coroutine: bool = False
    ) -> context.RunningJob:
        """Return what a job's code may know of it; `part` is which code, if not the task's."""
        return context.RunningJob(
            id=job.id,
            execution=job.execution,
            environment=self.env.name,
            replica=self._replica,
            retries_left=job.retries_left,
            deliveries_lost=job.deliveries_lost,
            run=job.run + part,
            lineage=lineage,
            coroutine=coroutine,
        )

    def _check_signature(self, job: ClaimedJob) -> None:
        if self._signer is not None:
            ends = named_ends(job.callbacks, job.webhooks)
            self._signer.check(job.id, self.env.name, job.data, job.signature, ends)

    def _finished(self, call: Call, value: object, began: float) -> Outcome:
        took = time.perf_counter() - began
        job, data = call.job, None
        call.returned = value
        if value is not None:
            again = asked(value)
            if again is not None:
                return _asked(job, again, timedelta(seconds=took))
            try:
                data = self.env.serializer.dumps_result(call.name, value, self.settings.max_payload)
            except BaseException as error:  # noqa: BLE001  # the value's class may raise, and exit
                call.final = True
                return _raised(call, error, began)
        return Outcome(
            job_id=job.id,
            execution=job.execution,
            verdict=Verdict.FINISHED,
            value=data,
            result_ttl=job.result_ttl,
            took=timedelta(seconds=took),
        )


def failed(
    job: ClaimedJob, error: BaseException, *, final: bool = False, took: timedelta = timedelta(0)
) -> Outcome:
    """Return the outcome of a job that raised; `final`: a retry would only repeat it."""
    return Outcome(
        job_id=job.id,
        execution=job.execution,
        verdict=Verdict.FAILED,
        error=describe(error),
        retry=not final,
        result_ttl=job.result_ttl,
        took=took,
    )


def _asked(job: ClaimedJob, again: Again, took: timedelta) -> Outcome:
    return Outcome(
        job_id=job.id,
        execution=job.execution,
        verdict=Verdict.ASKED,
        again=again,
        result_ttl=job.result_ttl,
        took=took,
    )


def ended_by(order: Order, job: ClaimedJob, took: timedelta = timedelta(0)) -> Outcome:
    """Return the outcome of a job that was ordered to end, and has given way after so long."""
    halted = order is Order.HALT
    return Outcome(
        job_id=job.id,
        execution=job.execution,
        verdict=Verdict.STOPPED if halted else Verdict.CANCELED,
        error="The job was stopped by a command while it ran." if halted else "",
        retry=False,
        result_ttl=job.result_ttl,
        took=took,
    )


def interrupted(job: ClaimedJob) -> Outcome:
    """Return the outcome of a job that was stopped with its replica and may not run again."""
    return Outcome(
        job_id=job.id,
        execution=job.execution,
        verdict=Verdict.INTERRUPTED,
        retry=False,
        result_ttl=job.result_ttl,
    )


def _late(call: Call, meaning: Overdue, error: BaseException, began: float) -> Outcome:
    """Return the failure that names the limit; its cause shows where the coroutine was."""
    job, cause = call.job, error.__cause__ or error.__context__  # the latter before Python 3.11.3
    if meaning is Overdue.DEADLINE:
        call.final = True
        late: TimeoutError = DeadlinePassed(f"job {job.id} had not ended by its deadline")
    else:
        limit = job.timeout.total_seconds() if job.timeout else 0
        late = TimeoutError(f"the job ran longer than its timeout of {limit:g} s")
    late.__cause__ = cause
    return replace(_raised(call, late, began), late=True)


def _late_to_start(call: Call, began: float) -> Outcome:
    """Return the failure of a job that has waited here, for its turn, past its deadline."""
    call.final = True
    error = DeadlinePassed(f"job {call.job.id} had not been started by its deadline")
    return replace(_raised(call, error, began), late=True)


def _raised(call: Call, error: BaseException, began: float) -> Outcome:
    if call.job.callbacks is not None:
        call.error = error
    took = timedelta(seconds=time.perf_counter() - began)
    return failed(call.job, error, final=call.final, took=took)


def _refused(
    env: TaskEnvironment, job: ClaimedJob, error: BaseException, *, final: bool
) -> Call | Outcome:
    """Return how a job fails that cannot be called: with a callback for that, by a call."""
    callback = (job.callbacks or {}).get(When.FAILURE)
    if callback is None or callback.name not in env.callbacks:
        return failed(job, error, final=final)
    return Call(job, _raise, True, (error,), {}, final=final)  # noqa: FBT003


def _decided(env: TaskEnvironment, job: ClaimedJob, decided: Decided) -> Call | Outcome:
    """Return how a job ends that has been ended from outside: by a call, for what it names."""
    error, order = error_of(decided), _ORDERS.get(decided.verdict)
    if order is None:
        return _refused(env, job, error, final=not decided.retry)
    callback = (job.callbacks or {}).get(When.STOPPED)
    if callback is None or callback.name not in env.callbacks:
        return ended_by(order, job)

    async def end() -> None:
        call.order = order
        raise error

    call = Call(job, end, True, (), {}, final=True)  # noqa: FBT003
    return call


async def _raise(error: BaseException) -> None:
    raise error
