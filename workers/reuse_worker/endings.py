"""What is called when a run has ended, and what its outcome is then: a pure decision."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any, TypeAlias

import structlog

from reuse_queue.ends import When
from reuse_queue.job import Outcome, Verdict
from reuse_worker.call import Call, Order
from reuse_worker.execute import failed
from reuse_worker.failures import describe

log = structlog.get_logger()

Endings: TypeAlias = Generator[tuple[When, tuple[Any, ...]], BaseException | None, Outcome]
"""Yields which callback is due, and with what besides the job; is sent what that one raised."""


def endings(call: Call, outcome: Outcome) -> Endings:
    """Return the outcome after the callbacks of a call that ended, as rq has it.

    A success callback that raises makes the job a failed one, to be tried again where retries are
    left. A failure callback's own error takes the place of the job's, and has it as its context.
    That of a stopped callback is only logged.
    """
    named = call.job.callbacks or {}
    if outcome.verdict is Verdict.FINISHED and When.SUCCESS in named:
        error = yield When.SUCCESS, (call.returned,)
        if error is not None:
            call.error = error
            outcome = failed(call.job, error, took=outcome.took)
    if outcome.verdict is Verdict.FAILED and call.error is not None:
        outcome = yield from _after_failure(call, call.error, outcome)
    return outcome


def _after_failure(call: Call, cause: BaseException, outcome: Outcome) -> Endings:
    named = call.job.callbacks or {}
    if call.order in (Order.CANCEL, Order.HALT) and When.STOPPED in named:
        error = yield When.STOPPED, ()
        if error is not None:
            log.warning("stopped callback raised", job=call.job.id, traceback=describe(error))
    elif call.order is None and When.FAILURE in named:
        error = yield When.FAILURE, (type(cause), cause, cause.__traceback__)
        if error is not None:
            if error is not cause and error.__context__ is None:
                error.__context__ = cause
            again = failed(call.job, error, final=not outcome.retry, took=outcome.took)
            outcome = replace(again, late=outcome.late)
    return outcome
