"""How numbers, times and states read in tables and messages."""

from __future__ import annotations

from datetime import datetime, timedelta

from reuse_queue.facts import ActionKind, Decision, EnvironmentRecord, EnvironmentState
from reuse_queue.job import Job, JobStatus

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SHORT_S = 10


def duration(span: timedelta) -> str:
    """Return a span in its two biggest units: `340ms`, `4.2s`, `12m 5s`, `3h 20m`, `9d 4h`."""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < _SHORT_S:
        return f"{seconds:.1f}".removesuffix(".0") + "s"
    if seconds < _MINUTE:
        return f"{seconds:.0f}s"
    whole = int(seconds)
    if whole < _HOUR:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    return _two(whole, _DAY, "d", _HOUR, "h")


def age(since: datetime | None, now: datetime) -> str:
    """Return how long ago something was, in one unit: `31s`, `4m`, `2h`; empty for never."""
    if since is None:
        return ""
    seconds = max(int((now - since).total_seconds()), 0)
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def count(number: float) -> str:
    """Return a count that stays short: `1,204`, `38.2k`, `1.2M`."""
    if number < 10_000:  # noqa: PLR2004  # up to here the whole number fits
        return f"{number:,.0f}"
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number / 1e3:.1f}k"


def rate(per_second: float) -> str:
    """Return a rate per second: `0`, `0.4`, `12`, `3,120`."""
    if per_second == 0:
        return "0"
    return f"{per_second:.1f}" if per_second < _SHORT_S else count(per_second)


def plural(number: int, noun: str) -> str:
    """Return a counted noun: `1 job`, `2 jobs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def took(job: Job, now: datetime) -> str:
    """Return how long a job's latest run took, or has taken by now; empty before its start."""
    if job.started_at is None or job.status is JobStatus.QUEUED:
        return ""
    end = job.ended_at or (now if job.status is JobStatus.STARTED else None)
    return duration(end - job.started_at) if end else ""


def clock(at: datetime | None) -> str:
    """Return a time of day, in this machine's zone."""
    return at.astimezone().strftime("%H:%M:%S") if at else ""


def moment(at: datetime | None, now: datetime) -> str:
    """Return a time and how long ago it was, or is to be."""
    if at is None:
        return ""
    shown = at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if at > now:
        return f"{shown} (in {duration(at - now)})"
    return f"{shown} ({duration(now - at)} ago)"


def bounds(low: int, high: int) -> str:
    """Return (min, max) replicas: `3` or `0-3`."""
    return str(high) if low == high else f"{low}-{high}"


def standing(record: EnvironmentRecord) -> str:
    """Return the one word that matters most of an environment's state."""
    if record.degraded:
        return "degraded"
    if record.drained:
        return "drained"
    if record.paused:
        return "paused"
    if record.suspended:
        return "suspended"
    if record.policy is None:
        return "unknown"
    return "dormant" if record.state is EnvironmentState.DORMANT else "active"


def doings(decision: Decision) -> str:
    """Return what a decision does to replicas: `+2`, `-1`, `keep 1` (un-drained), or nothing."""
    kinds = [action.kind for action in decision.actions]
    parts = (
        (kinds.count(ActionKind.START), "+{}"),
        (kinds.count(ActionKind.DRAIN), "-{}"),
        (kinds.count(ActionKind.UNDRAIN), "keep {}"),
    )
    return " ".join(form.format(number) for number, form in parts if number)


def _two(whole: int, size: int, unit: str, small: int, small_unit: str) -> str:
    rest = whole % size // small
    return f"{whole // size}{unit}" + (f" {rest}{small_unit}" if rest else "")
