"""Made-up fleets for tests of what decides about them; times are seconds since NOW."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reuse_queue.facts import (
    Death,
    EnvironmentRecord,
    Host,
    Replica,
    ReplicaState,
    Snapshot,
)
from reuse_queue.policy import ReusePolicy, StarvationWarning
from reuse_queue.scaler.memory import Memory

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def policy(
    low: int, high: int, concurrency: int = 2, idle: int = 120, down: int = 60
) -> ReusePolicy:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StarvationWarning)
        return ReusePolicy(
            replicas=(low, high), concurrency=concurrency, idle_ttl=idle, scaledown_ttl=down
        )


def environment(low: int = 0, high: int = 4, **fields: Any) -> EnvironmentRecord:
    given = {"policy": policy(low, high), "versions": ("v1",), **fields}
    return EnvironmentRecord(name=given.pop("name", "classify"), **given)


def ready(name: str, *, age: float = 600.0, idle_for: float = 0.0, **fields: Any) -> Replica:
    """A replica that is ready now; idle for so many seconds unless it holds jobs."""
    given = {
        "state": ReplicaState.READY,
        "ready_at": NOW - timedelta(seconds=age),
        "idle_since": None if fields.get("held") else NOW - timedelta(seconds=idle_for),
        **fields,
    }
    return replica(name, age=age, **given)


def replica(name: str, *, age: float = 0.0, **fields: Any) -> Replica:
    given = {
        "environment": "classify",
        "host": "a",
        "version": "v1",
        "state": ReplicaState.ORDERED,
        "ordered_at": NOW - timedelta(seconds=age),
        **fields,
    }
    return Replica(name=name, **given)


def death(ago: float, *, age: float = 1.0, was_ready: bool = False, **fields: Any) -> Death:
    given = {
        "replica": f"died-{ago:g}",
        "host": "a",
        "version": "v1",
        "cause": "exit code 4",
        **fields,
    }
    return Death(
        at=NOW - timedelta(seconds=ago), age=timedelta(seconds=age), was_ready=was_ready, **given
    )


def snapshot(record: EnvironmentRecord, *replicas: Replica, **fields: Any) -> Snapshot:
    given = {"at": NOW, "claimed": sum(each.held for each in replicas), **fields}
    return Snapshot(environment=record, replicas=replicas, **given)


def host(name: str = "a", room: int = 8, **fields: Any) -> Host:
    given = {"offers": {"classify": "v1"}, **fields}
    return Host(name=name, agent=f"agent of {name}", max_replicas=room, **given)


def watched(seconds: float = 3600.0, **fields: Any) -> Memory:
    """What a scaler remembers that has led for so long, and has not seen a job in that time."""
    since = NOW - timedelta(seconds=seconds)
    return replace(Memory(since=since, busy_at=since, ended=0), **fields)
