"""Replaced: which of rq's steps an application has put its own in place of."""

from __future__ import annotations

from typing import Any

from rq.queue import Queue

_STARTING = ("execute_job", "perform_job", "prepare_execution")
_ENDING = ("move_dependents_to_ready", "enqueue_dependents", "enqueue_ready_jobs_by_queue")
_RQS = {name: getattr(Queue, name) for name in _ENDING}


def starting_steps_replaced(worker: object, ours: type) -> bool:
    """Return whether a worker has steps of its own between taking a job and starting it."""
    return any(
        getattr(getattr(worker, name), "__func__", None) is not getattr(ours, name)
        for name in _STARTING
    )


def queue_steps_replaced(queue: Any) -> bool:
    """Return whether a queue has steps of its own for the dependents of a job that has ended."""
    kind = type(queue)
    return any(getattr(kind, name) is not rqs for name, rqs in _RQS.items())
