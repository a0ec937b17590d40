"""A job on its way through the queue: what is written, claimed and recorded of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import NamedTuple, TypeAlias

from reuse_queue.ends import NamedCallback, Webhook, When


class JobStatus(StrEnum):
    """Where a job is; the values are rq's."""

    CREATED = "created"
    QUEUED = "queued"
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    DEFERRED = "deferred"
    SCHEDULED = "scheduled"
    CANCELED = "canceled"
    STOPPED = "stopped"
    READY_TO_ENQUEUE = "ready_to_enqueue"
    RATE_LIMITED = "rate_limited"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self in _ENDED


_ENDED = frozenset({JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.STOPPED})


class Priority(StrEnum):
    """Which jobs of one environment are claimed first; within one priority, the oldest."""

    HIGH = "high"
    NORMAL = "normal"


class Durability(StrEnum):
    """What an accepted job outlives."""

    PRIMARY = "primary"
    """Whatever the primary Redis outlives."""
    REPLICATED = "replicated"
    """The loss of the primary too: a replica has it before it counts as accepted."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Terms:
    """What the new jobs of one task, called with the same options, have in common.

    Told apart by identity, so that what was made of them once is found again at no cost.
    """

    description: str
    timeout: timedelta | None = None
    """Longest run of one attempt; None for no limit."""
    queue_timeout: timedelta | None = None
    """Longest wait for its first start, from when it is due."""
    deadline: timedelta | None = None
    """Longest time from its enqueue to its end, all attempts and waits included."""
    result_ttl: timedelta | None = timedelta(seconds=500)
    """How long a result is kept; None for ever, 0 for not at all."""
    failure_ttl: timedelta | None = timedelta(days=365)
    retries: int = 0
    retry_delays: tuple[timedelta, ...] = ()
    """The wait before each retry, the last one repeating; empty: at once."""
    priority: Priority = Priority.NORMAL
    child: bool = False
    """It was enqueued by a job, which may be waiting for it: it goes before all that is new."""
    detached: bool = False
    """It is not canceled with the job that enqueued it."""
    delay: timedelta | None = None
    """When set, the job becomes due only this long after its enqueue."""
    redeliver: bool = True
    """False: at most once; a job lost with its replica fails instead of running again."""
    durability: Durability = Durability.PRIMARY
    meta: bytes | None = None
    callbacks: Mapping[When, NamedCallback] | None = None


class NewJob(NamedTuple):
    """A job to be enqueued; its payload is serialized already."""

    id: str
    data: bytes
    """rq's `data` field: the serialized (function name, None, args, kwargs), zlib or not."""
    terms: Terms
    signature: bytes | None = None
    """Of the payload, where the application has keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimedJob:
    """A job that a replica holds, with the lease that proves it."""

    id: str
    execution: str
    """The execution id: the fencing token of every later step."""
    data: bytes
    timeout: timedelta | None
    result_ttl: timedelta | None
    deliveries_lost: int = 0
    """How often a replica was lost with this job so far."""
    retries_left: int = 0
    enqueued_at: datetime | None = None
    run: str = ""
    """Its latest entry into the queue: a retry, a repeat or a requeue makes another one of it, a
    redelivery does not."""
    redeliver: bool = True
    """False: once it has begun, it must not run again for want of an end."""
    signature: bytes | None = None
    """Of the payload; asked for only where there are keys to check it with."""
    ends_in: timedelta | None = None
    """How long after its claim its deadline passes; None where it has none."""
    callbacks: Mapping[When, NamedCallback] | None = None
    """What is to be called at its end; None for nothing, as for most jobs."""
    webhooks: tuple[Webhook, ...] | None = None
    """What is to be sent when its end has been recorded; None for nothing."""
    decided: Decided | None = None
    """How it has ended, if only that is left to be called, sent and recorded."""


class Verdict(Enum):
    """How one execution ended."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELED = "canceled"
    STOPPED = "stopped"
    """rq's word for a job that was canceled while it ran: kept among the failed."""
    INTERRUPTED = "interrupted"
    """It was stopped with its replica, and may run only once."""
    ASKED = "asked"
    """It returned rq's `Retry`: whether that allows one more run is seen when it is recorded."""
    AGAIN = "again"
    """It returned rq's `Retry` and is to run again."""
    EXHAUSTED = "exhausted"
    """It returned rq's `Retry` once more than that allows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """An end that came from outside, and that waits for what the job names to be called at it."""

    verdict: Verdict
    """FAILED, CANCELED or STOPPED."""
    text: str = ""
    """Why: a traceback."""
    retry: bool = False
    """Whether the job may be tried again, if retries are left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """What a job asked for that returned rq's `Retry`."""

    most: int
    """How often it may run again, all told."""
    waits: tuple[float, ...] = ()
    """Seconds before each of those runs, the last one repeating."""
    first: bool = False
    """Before all jobs that wait already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one execution ended, ready to be recorded."""

    job_id: str
    execution: str
    verdict: Verdict
    value: bytes | None = None
    """The serialized return value; None where the task returned None."""
    error: str = ""
    """The traceback of a failure, as text."""
    retry: bool = True
    """False: this failure is final, whatever retries are left."""
    forged: bool = False
    """It failed because no key that is known here has signed it."""
    late: bool = False
    """It failed by its timeout or its deadline, and what the run has enqueued goes with it."""
    result_ttl: timedelta | None = timedelta(seconds=500)
    took: timedelta = timedelta(0)
    delay: timedelta = timedelta(0)
    """AGAIN: the wait before it."""
    first: bool = False
    """AGAIN: before all jobs that wait already."""
    again: Again | None = None
    """ASKED: for what."""


class Recorded(Enum):
    """What became of an outcome that was handed in."""

    FINISHED = "finished"
    FAILED = "failed"
    RETRIED = "retried"
    CANCELED = "canceled"
    LOST = "lost"
    """The lease had been lost: nothing was written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job as Redis has it now, for people and for `result()`."""

    id: str
    environment: str
    status: JobStatus
    task: str = ""
    """The function's dotted name, or empty where the payload cannot be read."""
    description: str = ""
    created_at: datetime | None = None
    enqueued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    due_at: datetime | None = None
    timeout: timedelta | None = None
    queue_timeout: timedelta | None = None
    deadline: timedelta | None = None
    start_by: datetime | None = None
    """When it fails if no replica has taken it; None once one has, and for one that has ended."""
    end_by: datetime | None = None
    """When it fails unless it has ended by then; None once it has."""
    retries_left: int = 0
    deliveries_lost: int = 0
    replica: str = ""
    dependencies: tuple[str, ...] = ()
    parent: str = ""
    """The job that enqueued it; empty where that was an application."""
    detached: bool = False
    """It is not canceled with its parent."""
    children: int = 0
    """How many jobs it has enqueued, in all of its runs."""
    deaths: tuple[str, ...] = ()
    """One line for each replica that was lost with this job."""
    decided: Decided | None = None
    """How it was ended from outside, if a replica has yet to call what it names for that."""


class ResultKind(Enum):
    """What a result record says; the numbers are rq's `Result.Type`."""

    SUCCESSFUL = 1
    FAILED = 2
    STOPPED = 3
    RETRIED = 4
    MAX_RETRIES_EXCEEDED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultRecord:
    """The newest entry of a job's result stream."""

    kind: ResultKind
    value: bytes | None = None
    error: str = ""
    replica: str = ""
    created_at: datetime | None = None


Ending: TypeAlias = tuple[JobStatus | None, ResultRecord | None]
"""A job's status, None for no such job, and the record of its end if it has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What one claim brought, and what the claimer should know for its next."""

    jobs: tuple[ClaimedJob, ...] = ()
    backlog: int = 0
    """Jobs still waiting in the queue after this claim."""
    replicas: int = 1
    """Replicas of the environment that are ready, the claimer included."""
    idle: int = 0
    """How many of those hold no job."""
    refused: str = ""
    """Why nothing was given: "draining", "paused", "lost", or empty."""
    dropped: tuple[str, ...] = field(default=())
    """Ids taken from the queue that were no runnable jobs (canceled, expired, deleted)."""
