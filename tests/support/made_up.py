"""Made-up facts about a fleet, for tests of what is shown of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from reuse_queue.facts import (
    Action,
    ActionKind,
    Death,
    Decision,
    EnvironmentRecord,
    EnvironmentState,
    Host,
    Replica,
    ReplicaState,
    Snapshot,
)
from reuse_queue.policy import ReusePolicy

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def replica(name: str = "classify-h-000001", state: str = "ready", **known: Any) -> Replica:
    facts: dict[str, Any] = {
        "environment": "classify",
        "host": "h",
        "version": "v1",
        "ordered_at": ago(40),
        "ready_at": ago(31),
    }
    return Replica(name=name, state=ReplicaState(state), **(facts | known))


def record(name: str = "classify", **known: Any) -> EnvironmentRecord:
    facts: dict[str, Any] = {
        "policy": ReusePolicy(replicas=(0, 3), concurrency=8, idle_ttl=120, scaledown_ttl=30),
        "tasks": ("app.classify",),
        "versions": ("v1",),
        "target": "app:env",
        "module": "app",
    }
    return EnvironmentRecord(name=name, **(facts | known))


def snapshot(environment: EnvironmentRecord | None = None, **known: Any) -> Snapshot:
    return Snapshot(at=known.pop("at", NOW), environment=environment or record(), **known)


def death(seconds_ago: float = 1, name: str = "r1", **known: Any) -> Death:
    facts: dict[str, Any] = {
        "host": "h",
        "version": "v1",
        "cause": "exit code 4 (could not start): OSError: no model",
        "was_ready": False,
        "age": timedelta(seconds=1),
    }
    return Death(replica=name, at=ago(seconds_ago), **(facts | known))


def host(name: str = "h", **known: Any) -> Host:
    return Host(name=name, agent="a1", max_replicas=8, **({"offers": {"classify": "v1"}} | known))


def decision(seconds_ago: float = 0, starts: int = 2, **known: Any) -> Decision:
    facts: dict[str, Any] = {
        "environment": "classify",
        "state": EnvironmentState.ACTIVE,
        "want": 3,
        "supply": 1,
        "demand": 1204,
        "actions": (Action(kind=ActionKind.START, replica="x", host="h", version="v1"),) * starts,
        "reason": "1,204 jobs want a slot",
        "at": ago(seconds_ago),
    }
    return Decision(**(facts | known))
