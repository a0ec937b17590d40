"""Kin: steps about jobs and the jobs that they have enqueued."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from reuse_queue.broker import codec
from reuse_queue.broker.connection import Step, call, command
from reuse_queue.broker.keys import Keys
from reuse_queue.context import RunningJob
from reuse_queue.job import JobStatus

Kin: TypeAlias = "tuple[str, str]"
"""An environment and a job of it, which has children."""
Cancel: TypeAlias = "Callable[[Sequence[str]], Step[tuple[list[JobStatus | None], list[Kin]]]]"
"""Cancels jobs and returns, after what they were, those whose children are to be canceled."""

_GOES_ON = frozenset({JobStatus.QUEUED, JobStatus.STARTED})
_PAGE = 500


def replaced(keys: Keys, job: RunningJob | None) -> Step[bool]:
    """Return whether the running job, if there is one, runs elsewhere by now, or will."""
    if job is None or job.lineage.over:
        return job is not None
    status, lease = yield [
        command("HGET", keys.job(job.id), "status"),
        command("ZSCORE", keys.registry("wip", job.environment), f"{job.id}:{job.execution}"),
    ]
    return lease is None and codec.status(status) in _GOES_ON


def fell(keys: Keys, cancel: Cancel, parents: Iterable[Kin], limit: float = math.inf) -> Step[int]:
    """Cancel the children of jobs for which that is noted, and theirs, level by level.

    An environment with an empty job stands for all of it. Looks at about `limit` children, and
    returns how many; the others stay noted.
    """
    left, looked = deque(parents), 0
    while left and looked < limit:
        env, wanted = left.popleft()
        parent, done = wanted, 0
        while done >= 0 and looked < limit:
            parent, done, below = yield from _fell(keys, cancel, env, parent, done)
            left += below
            looked += _PAGE
        if parent and not wanted:
            left.append((env, ""))
    return looked


def _fell(
    keys: Keys, cancel: Cancel, env: str, parent: str, done: int
) -> Step[tuple[str, int, list[Kin]]]:
    """Cancel the next children of a job; `parent` may be empty for any.

    Returns whose they were (empty: there is none), how many are done with now (-1: all), and those
    of them that have children.
    """
    prefix, own, *_ = keys.names(env)
    reply = yield call("fell", [keys.felled(env)], prefix, own, parent, done, _PAGE)
    found, *more = reply or [b""]
    if not more:
        return codec.name(found), -1, []
    _, below = yield from cancel([codec.name(each) for each in more[1:]])
    return codec.name(found), more[0], below
