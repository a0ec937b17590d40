"""Outcomes: what rq's job says of its end → what our books take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rq.job import UNSERIALIZABLE_RETURN_VALUE_PAYLOAD, Retry

from reuse_queue.job import Outcome, Verdict
from reuse_worker.failures import describe

STOPPED_TEXT = "The job was stopped by a command while it ran."


def finished(job: Any, execution: Any, result_ttl: int) -> Outcome:
    """Return the outcome of a job that returned."""
    return Outcome(
        verdict=Verdict.FINISHED,
        value=_packed(job, job._result),  # noqa: SLF001  # where rq keeps it until it is recorded
        result_ttl=None if result_ttl < 0 else timedelta(seconds=result_ttl),
        **_common(job, execution),
    )


def failed(job: Any, execution: Any, text: str) -> Outcome:
    """Return the outcome of a job that raised."""
    return Outcome(
        verdict=Verdict.FAILED,
        error=_writable(text),
        retry=bool(job.should_retry),
        **_common(job, execution),
    )


def unreadable(job_id: str, execution: str, error: Exception) -> Outcome:
    """Return the outcome of a job whose record cannot be read."""
    return Outcome(
        job_id=job_id,
        execution=execution,
        verdict=Verdict.FAILED,
        error=describe(error),
        retry=False,
    )


def stopped(job: Any, execution: Any, text: str) -> Outcome:
    """Return the outcome of a job that was stopped."""
    return Outcome(verdict=Verdict.STOPPED, error=_writable(text), **_common(job, execution))


def again(job: Any, execution: Any, retry: Any) -> Outcome:
    """Return the outcome of a job that returned a `Retry`."""
    done = job.number_of_retries or 0
    if done and done >= retry.max:
        verdict, delay = Verdict.EXHAUSTED, 0
    else:
        verdict, delay = Verdict.AGAIN, Retry.get_interval(done, retry.intervals)
    return Outcome(
        verdict=verdict,
        value=_packed(job, retry),
        delay=timedelta(seconds=delay),
        first=bool(job.enqueue_at_front_on_retry or retry.enqueue_at_front),
        **_common(job, execution),
    )


def _common(job: Any, execution: Any) -> dict[str, Any]:
    took = job.ended_at - job.started_at if job.ended_at and job.started_at else timedelta(0)
    return {"job_id": job.id, "execution": execution.id, "took": max(took, timedelta(0))}


def _packed(job: Any, value: object) -> bytes | None:
    if value is None:
        return None
    try:
        packed = job.serializer.dumps(value)
    except Exception:  # noqa: BLE001  # the value's own class may raise anything
        packed = job.serializer.dumps(UNSERIALIZABLE_RETURN_VALUE_PAYLOAD)
    return bytes(packed)


def _writable(text: str) -> str:
    """Return a text whose every character can be written as UTF-8."""
    return text.encode(errors="backslashreplace").decode()
