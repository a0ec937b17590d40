"""rq's texts ⇄ our facts: the fields of a job's hash.

What stands there may be anything: what cannot be read takes its default, and nothing raises.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from reuse_queue.broker import payloads
from reuse_queue.ends import NamedCallback, When
from reuse_queue.job import Again, Decided, Job, JobStatus, Priority, Terms, Verdict

_YEARS = (1900, 9000)
_ENDS = {each.value: each for each in (Verdict.FAILED, Verdict.CANCELED, Verdict.STOPPED)}
# rq's number for "no limit" and "for ever".
_NONE = -1

JOB_FIELDS = (
    "status",
    "origin",
    "data",
    "description",
    "created_at",
    "enqueued_at",
    "started_at",
    "ended_at",
    "timeout",
    "retries_left",
    "reuse_losses",
    "worker_name",
    "dependency_ids",
    "reuse_deaths",
    "reuse_queue_timeout",
    "reuse_deadline",
    "reuse_by",
    "reuse_decided",
    "reuse_parent",
    "reuse_detached",
    "reuse_children",
)
"""What `job` reads of a job's hash, in this order."""


# -- texts ----------------------------------------------------------------------------------


def name(word: bytes) -> str:
    """Return an id or a name; bytes that are no text become lone surrogates.

    `Connection` sends them back as the bytes that they were.
    """
    return word.decode(errors="surrogateescape")


def moment(text: bytes | None) -> datetime | None:
    """Return the time that a text of rq's says, in UTC; None where it says none."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.decode())
        return _usual(found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def moment_ms(text: bytes | None) -> datetime | None:
    """Return the time of milliseconds since 1970 as a text; None where it says none."""
    try:
        return moment_s(int(text) / 1000) if text else None
    except (ValueError, OverflowError):
        return None


def moment_s(seconds: float) -> datetime | None:
    """Return the time of seconds since 1970; None where no calendar has it."""
    try:
        return _usual(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def _usual(found: datetime) -> datetime | None:
    """Return a time, unless it is so odd that another zone could not tell it."""
    return found if _YEARS[0] <= found.year <= _YEARS[1] else None


def seconds(duration: timedelta | None) -> int:
    """Return a duration as rq keeps it: whole seconds, rounded up; -1 for None."""
    return _NONE if duration is None else math.ceil(duration.total_seconds())


def duration(text: bytes | None, default: timedelta | None) -> timedelta | None:
    """Return what `seconds` wrote; `default` where nothing readable stands.

    None as well for what is longer than any process lives.
    """
    try:
        number = int(text) if text else None
    except ValueError:
        number = None
    if number is None:
        return default
    try:
        return timedelta(seconds=number) if number >= 0 else None
    except OverflowError:
        return None


def number(text: bytes | None) -> int:
    """Return a whole number that is not negative; 0 where none stands."""
    try:
        return int(text) if text and text.isdigit() else 0
    except ValueError:  # more digits than Python cares to read
        return 0


def texts(data: bytes | None) -> tuple[str, ...]:
    """Return the texts of a JSON list; none where no such list stands."""
    try:
        found = json.loads(data) if data else []
    except (ValueError, RecursionError):
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()


# -- a job's hash ---------------------------------------------------------------------------


def terms(env: str, new: Terms) -> dict[str, str | bytes | int | float]:
    """Return the fields that new jobs have in common; lua/enqueue.lua adds the others."""
    fields: dict[str, str | bytes | int | float] = {
        "origin": env,
        "description": new.description,
        "timeout": seconds(new.timeout),
        "result_ttl": seconds(new.result_ttl),
        "failure_ttl": seconds(new.failure_ttl),
    }
    if new.retries:
        fields.update(_retries_of(new))
    if new.child:
        fields.update(_child_of(new))
    elif new.priority is Priority.HIGH:
        fields["enqueue_at_front"] = 1
    if not new.redeliver:
        fields["reuse_once"] = 1
    if new.queue_timeout or new.deadline:
        fields.update(_limits_of(new))
    if new.meta:
        fields["meta"] = new.meta
    if new.callbacks:
        fields.update(_callbacks_of(new.callbacks))
    return fields


def again(wanted: Again) -> str:
    """Return what a job asked for as lua/lib/asked.lua reads it."""
    waits = [_short(wait) for wait in wanted.waits]
    return json.dumps({"max": wanted.most, "intervals": waits, "first": wanted.first})


def retry_intervals(retries: int, delays: Sequence[timedelta]) -> list[int | float]:
    """Return the waits as rq counts them.

    Where there are fewer waits than retries, rq repeats the *first*; ours repeats the last, so
    each retry gets its own, unless all are the same.
    """
    waits = [_short(delay.total_seconds()) for delay in delays[:retries]] or [0]
    if len(set(waits)) == 1:
        return waits[:1]
    return waits + waits[-1:] * (retries - len(waits))


def job(job_id: str, values: Sequence[bytes | None]) -> Job | None:
    """Return the job whose hash has these values of JOB_FIELDS; None where there is none."""
    fields = dict(zip(JOB_FIELDS, values, strict=True))
    # A deleted job may be given a status once more; a truncated one has lost one of the two.
    if fields["data"] is None and fields["origin"] is None:
        return None
    now = status(fields["status"]) or JobStatus.CREATED
    start_by, end_by = (None, None) if now.ended else _limits(fields["reuse_by"])
    return Job(
        id=job_id,
        environment=name(fields["origin"] or b""),
        status=now,
        task=payloads.task_name(fields["data"] or b""),
        description=shown(fields["description"]),
        created_at=moment(fields["created_at"]),
        enqueued_at=moment(fields["enqueued_at"]),
        started_at=moment(fields["started_at"]),
        ended_at=moment(fields["ended_at"]),
        timeout=duration(fields["timeout"], None),
        retries_left=number(fields["retries_left"]),
        deliveries_lost=number(fields["reuse_losses"]),
        replica=shown(fields["worker_name"]),
        dependencies=texts(fields["dependency_ids"]),
        deaths=texts(fields["reuse_deaths"]),
        parent=shown(fields["reuse_parent"]).rpartition(":")[0],
        detached=fields["reuse_detached"] == b"1",
        children=number((fields["reuse_children"] or b"").partition(b",")[0]),
        queue_timeout=_span(fields["reuse_queue_timeout"]),
        deadline=_span(fields["reuse_deadline"]),
        start_by=start_by,
        end_by=end_by,
        decided=decided(fields["reuse_decided"], fields["enqueued_at"]),
    )


def decided(text: bytes | None, run: bytes | None) -> Decided | None:
    """Return the end that a job's field `reuse_decided` tells of, if it is that of this run."""
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    this = isinstance(found, dict) and found.get("run") == name(run or b"")
    return decided_of(found) if this else None


def decided_of(found: Any) -> Decided | None:
    """Return the end of which these words tell; None where they tell of none."""
    try:
        retry = bool(found.get("retry"))
        return Decided(verdict=_ENDS[found["verdict"]], text=str(found["text"]), retry=retry)
    except (AttributeError, KeyError, TypeError):
        return None


def status(text: bytes | None) -> JobStatus | None:
    """Return the status of that name; None where there is none."""
    try:
        return JobStatus(shown(text))
    except ValueError:
        return None


# -------------------------------------------------------------------------------------------


def _child_of(new: Terms) -> dict[str, str | int]:
    fields: dict[str, str | int] = {"enqueue_at_front": 1, "enqueue_at_front_on_retry": 1}
    return fields | {"reuse_detached": 1} if new.detached else fields


def _retries_of(new: Terms) -> dict[str, str | int]:
    waits = json.dumps(retry_intervals(new.retries, new.retry_delays))
    fields: dict[str, str | int] = {"retries_left": new.retries, "retry_intervals": waits}
    if new.priority is Priority.HIGH:
        fields["enqueue_at_front_on_retry"] = 1
    return fields


def _callbacks_of(callbacks: Mapping[When, NamedCallback]) -> dict[str, str | int]:
    names = {f"{when}_callback_name": each.name for when, each in callbacks.items()}
    limits = {f"{when}_callback_timeout": seconds(each.timeout) for when, each in callbacks.items()}
    return names | limits


def shown(data: bytes | None) -> str:
    """Return a text for people, whatever the bytes are."""
    return (data or b"").decode(errors="replace")


def _span(text: bytes | None) -> timedelta | None:
    try:
        return timedelta(seconds=float(text)) if text else None
    except (ValueError, OverflowError):
        return None


def _limits_of(new: Terms) -> dict[str, int | float]:
    limits = {"reuse_queue_timeout": new.queue_timeout, "reuse_deadline": new.deadline}
    return {name: _short(each.total_seconds()) for name, each in limits.items() if each}


def _limits(by: bytes | None) -> tuple[datetime | None, datetime | None]:
    """Return the two times of `reuse_by`: `<ms>,<ms>`, each perhaps empty."""
    start_by, _, end_by = (by or b"").partition(b",")
    try:
        return moment_ms(start_by), moment_ms(end_by)
    except (ValueError, OverflowError):
        return None, None


def _short(number: float) -> int | float:
    return int(number) if number == int(number) else number
