"""Warm, autoscaled worker fleets on Redis, on rq's data format; this is the public API.

Names are imported when they are first used: whoever needs only a part pays only for that.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reuse_queue.context import RunningJob, current_job
    from reuse_queue.environment import TaskEnvironment
    from reuse_queue.errors import (
        DeadlinePassed,
        FolderInUse,
        HostTaken,
        InvalidArguments,
        InvalidSettings,
        InvalidSignature,
        JobCanceled,
        JobLost,
        JobNotFound,
        JobTimeout,
        LeadLost,
        LeaseLost,
        NewerFormat,
        NotDeserializable,
        NotReplicated,
        NotSerializable,
        PayloadTooLarge,
        QueueTimeout,
        RedisNotInstalled,
        RedisRefused,
        RedisUnavailable,
        ResultTimeout,
        ReuseQueueError,
        TargetNotLoaded,
        TaskFailed,
        UnknownCallback,
        UnknownEnvironment,
        UnknownReplica,
        UnknownTask,
        UnsupportedRedis,
        WouldBlock,
        WrongJobStatus,
    )
    from reuse_queue.gathering import agather, gather
    from reuse_queue.handle import JobHandle
    from reuse_queue.job import Durability, Job, JobStatus, Priority
    from reuse_queue.options import Backoff
    from reuse_queue.policy import ReusePolicy, StarvationWarning
    from reuse_queue.settings import Settings
    from reuse_queue.task import Task

__all__ = [
    "Backoff",
    "DeadlinePassed",
    "Durability",
    "FolderInUse",
    "HostTaken",
    "InvalidArguments",
    "InvalidSettings",
    "InvalidSignature",
    "Job",
    "JobCanceled",
    "JobHandle",
    "JobLost",
    "JobNotFound",
    "JobStatus",
    "JobTimeout",
    "LeadLost",
    "LeaseLost",
    "NewerFormat",
    "NotDeserializable",
    "NotReplicated",
    "NotSerializable",
    "PayloadTooLarge",
    "Priority",
    "QueueTimeout",
    "RedisNotInstalled",
    "RedisRefused",
    "RedisUnavailable",
    "ResultTimeout",
    "ReusePolicy",
    "ReuseQueueError",
    "RunningJob",
    "Settings",
    "StarvationWarning",
    "TargetNotLoaded",
    "Task",
    "TaskEnvironment",
    "TaskFailed",
    "UnknownCallback",
    "UnknownEnvironment",
    "UnknownReplica",
    "UnknownTask",
    "UnsupportedRedis",
    "WouldBlock",
    "WrongJobStatus",
    "agather",
    "current_job",
    "gather",
]

_ELSEWHERE = {
    "Backoff": "options",
    "Durability": "job",
    "Job": "job",
    "JobHandle": "handle",
    "JobStatus": "job",
    "Priority": "job",
    "ReusePolicy": "policy",
    "RunningJob": "context",
    "Settings": "settings",
    "StarvationWarning": "policy",
    "Task": "task",
    "TaskEnvironment": "environment",
    "agather": "gathering",
    "current_job": "context",
    "gather": "gathering",
}


if not TYPE_CHECKING:  # or type checkers would believe in any name

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'errors')}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
