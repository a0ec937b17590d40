"""Our hashes and streams ⇄ facts about environments, hosts and replicas.

What cannot be read is left out or takes its default: one broken record must not hide the others.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar

from reuse_queue.broker import codec
from reuse_queue.broker.codec import texts
from reuse_queue.errors import NewerFormat
from reuse_queue.facts import (
    FORMAT,
    Death,
    DrainReason,
    EnvironmentRecord,
    EnvironmentState,
    Host,
    Replica,
    ReplicaState,
)
from reuse_queue.policy import ReusePolicy, StarvationWarning

E = TypeVar("E", bound=StrEnum)
# No count and no time is greater; Redis' own integers end soon after.
_MOST = 10**16
Fields = Mapping[str, str]


def fields(flat: Sequence[bytes]) -> dict[str, str]:
    """Return a hash, or a stream's entry, whose names and values come as one flat list."""
    words = [word.decode(errors="replace") for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def moment(text: str | int | None) -> datetime | None:
    """Return the time of so many milliseconds since 1970; None for none."""
    number = whole(text)
    return codec.moment_s(number / 1000) if number else None


def milliseconds(span: timedelta) -> int:
    """Return a duration as whole milliseconds."""
    return round(span / timedelta(milliseconds=1))


def whole(text: str | int | None) -> int:
    """Return a whole number; 0 where none stands, or one that cannot be meant."""
    try:
        number = int(text or 0)
    except ValueError:
        return 0
    return number if abs(number) <= _MOST else 0


def too_new(found: Fields, what: str, todo: str) -> NewerFormat | None:
    """Return the error for a record that a newer release has written; None for one that is ours."""
    theirs = _format(found)
    return newer(what, theirs, todo) if theirs > FORMAT else None


def newer(what: str, theirs: int, todo: str) -> NewerFormat:
    """Return the error that says what is too new, and what to do about it."""
    return NewerFormat(
        f"{what} is of a newer release of reuse_queue (data format {theirs}; this one knows "
        f"{FORMAT}): {todo}"
    )


def _format(found: Fields) -> int:
    return whole(found.get("format")) or 1


def choice(kind: type[E], text: str | None) -> E | None:
    """Return the member of an enum with that value; None where there is none."""
    return kind(text) if text in set(kind) else None


# -- environments ---------------------------------------------------------------------------


def announcement(record: EnvironmentRecord) -> dict[str, str]:
    """Return the fields that announcing an environment writes."""
    written = {
        "format": str(FORMAT),
        "keep_warm": flag(on=record.keep_warm),
        "module": record.module,
        "serializer": record.serializer,
        "tasks": json.dumps(record.tasks),
    }
    if record.target:
        written["target"] = record.target
    if record.policy is not None:
        written["policy"] = _policy_text(record.policy)
    return written


def flag(*, on: bool) -> str:
    """Return a flag as it is written."""
    return "1" if on else ""


def environment(name: str, found: Fields, versions: Iterable[str]) -> EnvironmentRecord:
    """Return what an environment's hash says."""
    return EnvironmentRecord(
        name=name,
        state=choice(EnvironmentState, found.get("state")) or EnvironmentState.ACTIVE,
        active_since=moment(found.get("active_since")),
        policy=_policy(found.get("policy", "")),
        override=_override(found.get("override", "")),
        paused=found.get("paused") == "1",
        drained=found.get("drained") == "1",
        suspended=found.get("suspended") == "1",
        keep_warm=found.get("keep_warm") == "1",
        target=found.get("target", ""),
        module=found.get("module", ""),
        serializer=found.get("serializer") or "json",
        tasks=texts(found.get("tasks", "").encode()),
        versions=tuple(versions),
        degraded=found.get("degraded", ""),
    )


def _policy_text(policy: ReusePolicy) -> str:
    return json.dumps(
        {
            "min": policy.min_replicas,
            "max": policy.max_replicas,
            "idle_ttl": policy.get_idle_ttl().total_seconds(),
            "concurrency": policy.concurrency,
            "scaledown_ttl": policy.get_scaledown_ttl().total_seconds(),
        }
    )


@lru_cache(maxsize=1024)
def _policy(text: str) -> ReusePolicy | None:
    """Return the policy; each text is read once."""
    try:
        found = json.loads(text)
        with warnings.catch_warnings():
            # Whoever made the policy has been warned.
            warnings.simplefilter("ignore", StarvationWarning)
            return ReusePolicy(
                replicas=(found["min"], found["max"]),
                idle_ttl=timedelta(seconds=found["idle_ttl"]),
                concurrency=found["concurrency"],
                scaledown_ttl=timedelta(seconds=found["scaledown_ttl"]),
            )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None


def _override(text: str) -> tuple[int, int] | None:
    low, _, high = text.partition(",")
    return (whole(low), whole(high)) if low.isdecimal() and high.isdecimal() else None


# -- hosts ----------------------------------------------------------------------------------


def host(row: Sequence[Any]) -> Host:
    """Return the host that lua/hosts.lua tells of: its name, its lease's end, its hash."""
    name, lease, flat = row
    found = fields(flat)
    ours = _format(found) <= FORMAT
    return Host(
        name=codec.name(name),
        agent=found.get("agent", ""),
        max_replicas=whole(found.get("max_replicas")),
        offers=_mapping(found.get("offers")) if ours else {},
        format=_format(found),
        draining=found.get("draining") == "1",
        lease_until=moment(lease),
        broken=_mapping(found.get("broken")),
    )


def _mapping(text: str | None) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


# -- replicas -------------------------------------------------------------------------------


def replicas(env: str, rows: Iterable[Sequence[Any]]) -> Iterator[Replica]:
    """Yield the replicas that lua/lib/row.lua tells of."""
    for name, lease, held, flat in rows:
        found = fields(flat)
        state = choice(ReplicaState, found.get("state"))
        if state is None and _format(found) > FORMAT:
            state = ReplicaState.ORDERED
        if state is not None:
            yield Replica(
                name=codec.name(name),
                environment=env,
                host=found.get("host", ""),
                version=found.get("version", ""),
                state=state,
                ordered_at=moment(found.get("ordered_at")) or datetime.fromtimestamp(0, UTC),
                pid=whole(found.get("pid")),
                ready_at=moment(found.get("ready_at")),
                idle_since=moment(found.get("idle_since")),
                held=held,
                jobs_done=whole(found.get("jobs_done")),
                drain_reason=choice(DrainReason, found.get("drain_reason")),
                lease_until=moment(lease),
                format=_format(found),
            )


def death(flat: Sequence[bytes]) -> Death:
    """Return the death that an entry of the stream tells of."""
    found = fields(flat)
    return Death(
        replica=found.get("replica", ""),
        host=found.get("host", ""),
        version=found.get("version", ""),
        at=moment(found.get("at")) or datetime.fromtimestamp(0, UTC),
        cause=found.get("cause", ""),
        was_ready=found.get("was_ready") == "1",
        age=timedelta(milliseconds=max(0, whole(found.get("age")))),
        detail=found.get("detail", ""),
        held=whole(found.get("held")),
    )
