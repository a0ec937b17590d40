"""TaskOptions: what can be set for a task, or for one call of it, checked with clear messages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from inspect import isfunction
from typing import Any, TypeAlias, TypedDict, TypeVar

from reuse_queue.callbacks import CallbackFunction
from reuse_queue.callbacks import checked as callback
from reuse_queue.ends import When
from reuse_queue.job import Durability, Priority

Seconds: TypeAlias = "int | float | timedelta"
E = TypeVar("E", bound=StrEnum)

# rq keeps one interval per retry in every job.
MAX_RETRIES = 1000
_ZERO = timedelta(0)


def duration(name: str, value: Any) -> timedelta:
    """Return seconds or a timedelta as a timedelta; `name` is for the message.

    Raises:
        ValueError: it is neither, or negative.
    """
    if not isinstance(value, timedelta) and not _is_number(value):
        raise ValueError(f"{name} must be a number of seconds or a timedelta, got {value!r}")
    try:
        found = value if isinstance(value, timedelta) else timedelta(seconds=value)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{name} is not a duration: {value!r}") from error
    if found < _ZERO:
        raise ValueError(f"{name} must not be negative, got {value!r}")
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """The wait before the n-th retry: `base * factor ** n`, at most `cap`; n counts from 0.

    Args:
        base: seconds or timedelta, not negative.
        factor: at least 1; 1 is the same wait every time.
        cap: seconds or timedelta, not shorter than `base`.

    Raises:
        ValueError: a parameter breaks its rule; the message names it.
    """

    base: Seconds = timedelta(seconds=1)
    factor: float = 2.0
    cap: Seconds = timedelta(minutes=5)

    def __post_init__(self) -> None:
        base, cap = duration("backoff base", self.base), duration("backoff cap", self.cap)
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "cap", cap)
        if not _is_number(self.factor) or not 1 <= self.factor < math.inf:
            raise ValueError(f"backoff factor must be a number from 1 on, got {self.factor!r}")
        if cap < base:
            raise ValueError(
                f"backoff cap ({self.cap}) must not be shorter than base ({self.base})"
            )

    def delays(self, retries: int) -> tuple[timedelta, ...]:
        """Return the wait before each of `retries` retries; one value where all are the same."""
        return _delays(self, retries)


class OptionArgs(TypedDict, total=False):
    """What `@env.task(…)` and `task.override(…)` take, as keywords.

    Durations are seconds or a timedelta.
    """

    retries: int
    """How often a failed job is tried again."""
    backoff: Backoff | Seconds | None
    """The wait before a retry, always the same or growing; None for none."""
    timeout: Seconds | None
    """Longest run of one attempt; None for no limit."""
    queue_timeout: Seconds | None
    """Longest wait for its first start, from when it is due; None for no limit."""
    deadline: Seconds | None
    """Longest time from its enqueue to its end, all attempts and waits included; None: no limit."""
    result_ttl: Seconds | None
    """How long a result is kept; None for ever, 0 for not at all."""
    failure_ttl: Seconds | None
    """How long a failed job is kept; None for ever."""
    priority: Priority | str
    """`"high"` is claimed before `"normal"`."""
    redeliver: bool
    """False: at most once; a job lost with its replica fails instead of running again."""
    detached: bool
    """True: what a job enqueues is not canceled with that job."""
    delay: Seconds | None
    """The job becomes due only that long after its enqueue."""
    durability: Durability | str
    """`"replicated"`: enqueued means that a replica of Redis has it too, or NotReplicated."""
    on_success: CallbackFunction | None
    """Called with (job, connection, result) when the task has returned; see `@env.callback`."""
    on_failure: CallbackFunction | None
    """Called with (job, connection, type, value, traceback) each time that it has failed."""
    on_stopped: CallbackFunction | None
    """Called with (job, connection) when it was canceled while it ran."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskOptions:
    """The options of a task's calls, checked (see `OptionArgs` for their meaning)."""

    retries: int = 0
    backoff: Backoff | None = Backoff()
    timeout: timedelta | None = None
    queue_timeout: timedelta | None = None
    deadline: timedelta | None = None
    result_ttl: timedelta | None = timedelta(seconds=500)
    failure_ttl: timedelta | None = timedelta(days=365)
    priority: Priority = Priority.NORMAL
    redeliver: bool = True
    detached: bool = False
    delay: timedelta | None = None
    durability: Durability = Durability.PRIMARY
    on_success: CallbackFunction | None = None
    on_failure: CallbackFunction | None = None
    on_stopped: CallbackFunction | None = None

    def changed(self, given: Mapping[str, Any]) -> TaskOptions:
        """Return these options with the given ones in their place.

        Raises:
            ValueError: a value breaks its rule, or the option is not for a task to set.
            TypeError: there is no such option.
        """
        changed = replace(self, **{name: _checked(name, value) for name, value in given.items()})
        if changed.delay and changed.deadline and changed.deadline <= changed.delay:
            raise ValueError(
                f"deadline ({changed.deadline}) must be longer than delay ({changed.delay}): both "
                "count from the enqueue, so the job could never run"
            )
        return changed

    def differences(self, other: TaskOptions) -> str:
        """Return in words, the same in every process, what is other here than in other options."""
        if self is other:
            return ""
        pairs = [(each.name, getattr(self, each.name)) for each in fields(self)]
        return " ".join(
            f"{name}={_word(value)}" for name, value in pairs if value != getattr(other, name)
        )

    @property
    def retry_delays(self) -> tuple[timedelta, ...]:
        """The wait before each retry; empty where there is none."""
        return () if self.backoff is None else self.backoff.delays(self.retries)

    @property
    def callbacks(self) -> dict[When, CallbackFunction | None]:
        """What is to be called at which end; None for nothing."""
        ends = (self.on_success, self.on_failure, self.on_stopped)
        return dict(zip(When, ends, strict=True))


@cache
def _delays(backoff: Backoff, retries: int) -> tuple[timedelta, ...]:
    found: list[timedelta] = []
    wait = duration("backoff base", backoff.base).total_seconds()
    cap = duration("backoff cap", backoff.cap).total_seconds()
    for _ in range(retries):
        found.append(timedelta(seconds=wait))
        wait = min(wait * backoff.factor, cap)
    return tuple(found[:1] if len(set(found)) == 1 else found)


def _word(value: object) -> str:
    return f"{value.__module__}.{value.__qualname__}" if isfunction(value) else repr(value)


def _checked(name: str, value: object) -> Any:
    if name in _NOT_HERE:
        raise ValueError(f"{name} cannot be set for a task: {_NOT_HERE[name]}")
    if name not in _CHECKS:
        close = get_close_matches(name, _CHECKS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(_CHECKS)}"
        raise TypeError(f"a task has no option {name!r}; {hint}")
    return _CHECKS[name](name, value)


def _retries(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be an int, got {value!r}")
    if not 0 <= value <= MAX_RETRIES:
        raise ValueError(f"{name} must be from 0 to {MAX_RETRIES}, got {value}")
    return value


def _backoff(name: str, value: object) -> Backoff | None:
    if value is None or isinstance(value, Backoff):
        return value
    try:
        wait = duration(name, value)
    except ValueError as error:
        raise ValueError(f"{error}; a Backoff will do too, and None for no wait") from error
    return Backoff(base=wait, factor=1, cap=wait)


def positive(name: str, value: object) -> timedelta | None:
    """Return a limit as a timedelta, None for none; `name` is for the message.

    Raises:
        ValueError: it is no duration, or nothing could ever run within it.
    """
    if value is None:
        return None
    found = duration(name, value)
    if found == _ZERO:
        raise ValueError(f"{name} must be longer than 0 s; None is no limit")
    return found


def _optional(name: str, value: object) -> timedelta | None:
    return None if value is None else duration(name, value)


def _one_of(kind: type[E]) -> Callable[[str, object], E]:
    def checked(name: str, value: Any) -> E:
        try:
            return kind(value)
        except ValueError as error:
            words = ", ".join(repr(each.value) for each in kind)
            raise ValueError(f"{name} must be one of {words}, got {value!r}") from error

    return checked


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return value


_CHECKS: dict[str, Callable[[str, object], object]] = {
    "retries": _retries,
    "backoff": _backoff,
    "timeout": positive,
    "queue_timeout": positive,
    "deadline": positive,
    "result_ttl": _optional,
    "failure_ttl": _optional,
    "priority": _one_of(Priority),
    "redeliver": _flag,
    "detached": _flag,
    "delay": _optional,
    "durability": _one_of(Durability),
    "on_success": callback,
    "on_failure": callback,
    "on_stopped": callback,
}
_OF_THE_ENVIRONMENT = "it belongs to the whole environment; clone_with() makes another one"
_OF_THE_MACHINE = "replicas run with what their host has; start its agent with it"
# Options of flyte's tasks that people will try.
_NOT_HERE = {
    "reusable": _OF_THE_ENVIRONMENT,
    "name": "a task is known by its function's dotted name",
    "interface": "it is the function's signature",
    "docs": "they are the function's docstring",
    **dict.fromkeys(("image", "resources", "env_vars", "secrets", "pod_template"), _OF_THE_MACHINE),
}
