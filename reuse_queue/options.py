"""TaskOptions: what can be set for a task, or for one call of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from reuse_queue.job import Priority


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """The wait before the n-th retry: `base * factor ** n`, at most `cap`."""

    base: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    cap: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """The options of a task's calls, checked (see `TaskEnvironment.task` for their meaning)."""

    retries: int = 0
    backoff: Backoff | None = Backoff()
    timeout: timedelta | None = None
    result_ttl: timedelta | None = timedelta(seconds=500)
    failure_ttl: timedelta | None = timedelta(days=365)
    priority: Priority = Priority.NORMAL
    redeliver: bool = True
    delay: timedelta | None = None
