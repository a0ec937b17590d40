"""Stepwise: how jobs come where an application has replaced the steps that start them.

As with rq, a job is first moved into its queue's intermediate list, whatever the number of queues,
and started only where rq starts it: by then the application's steps have had their say. It is
leased from there on; before, it is rq's maintenance that looks after the list.
"""

from __future__ import annotations

from reuse_queue.broker.connection import Step, command
from reuse_queue.broker.keys import Keys


def take(keys: Keys, queue: str) -> Step[str | None]:
    """Move the first id of a queue into its intermediate list and return it."""
    whole = keys.queue(queue)
    reply = yield command("LMOVE", whole, _intermediate(whole), "LEFT", "RIGHT")
    return None if reply is None else reply.decode()


def adopt(keys: Keys, queue: str, worker: str, job_id: str) -> Step[None]:
    """Let the next claim of a worker find a job that lies in the intermediate list."""
    # In this order a break in between leaves it twice, which its status tells, but never nowhere.
    yield [
        command("RPUSH", keys.waiting(queue, worker), job_id),
        command("LREM", _intermediate(keys.queue(queue)), 1, job_id),
    ]


def kept(keys: Keys, queue: str, job_id: str, execution: str) -> Step[bool]:
    """Return whether an execution is still on the books of its queue."""
    score = yield command("ZSCORE", keys.registry("wip", queue), f"{job_id}:{execution}")
    return score is not None


def _intermediate(queue_key: str) -> str:
    return f"{queue_key}:intermediate"
