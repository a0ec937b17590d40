"""ReusePolicy: how many warm replicas an environment keeps, and when it lets them go."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

MIN_TTL = timedelta(seconds=30)


class StarvationWarning(UserWarning):
    """There is only one slot: a task that does not give way starves what it waits for."""


@dataclass(kw_only=False)
class ReusePolicy:
    """Configure a task environment for the reuse of its replicas from job to job.

    Total capacity is `max_replicas * concurrency` jobs at once. Rules, normalised values and
    messages are those of flyte's class of that name, but for three: a bool is no number, a
    maximum of 0 is refused (such an environment could never run a job), and the starvation
    warning is a Python warning.

    Args:
        replicas: `n` keeps exactly n replicas; `(min, max)` scales between the two on demand.
        idle_ttl: seconds or timedelta (at least 30 s) without any demand after which *all*
            replicas of the environment stop, the minimum and a fixed count included.
        concurrency: jobs one replica runs at once; more than 1 only for async tasks.
        scaledown_ttl: seconds or timedelta (at least 30 s) that one replica must have been idle
            before scaling down may remove it.
        scope: `"global"`, or `"run"`, which flyte accepts and ignores outside its Ray clusters.

    Raises:
        ValueError: a parameter breaks its rule; the message names it.

    Source: flyte's `ReusePolicy`, https://www.union.ai/docs/v2/union/api-reference/flyte-sdk/
    """

    replicas: int | tuple[int, int] = 2
    idle_ttl: int | timedelta = 30
    concurrency: int = 1
    scaledown_ttl: int | timedelta = 30
    scope: Literal["global", "run"] = "global"

    def __post_init__(self) -> None:
        if self.scope not in ("global", "run"):
            raise ValueError('scope must be "global" or "run"')
        self.replicas = _bounds(self.replicas)
        _whole("concurrency", self.concurrency)
        if self.concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {self.concurrency}")
        self.idle_ttl = _ttl("idle_ttl", self.idle_ttl)
        if self.max_replicas == 1 and self.concurrency == 1:
            warnings.warn(
                "One replica with concurrency=1 is a single slot. Tasks that wait for the results "
                "of others give it up meanwhile, so these starve nobody, at any depth. A task that "
                "waits for another one in any other way, by polling its status for instance, or in "
                "an environment with yield_slots=False, keeps the slot that the other one needs: "
                "where there are such, use a minimum of 2 replicas, to avoid starvation, and more "
                "slots than such tasks.",
                StarvationWarning,
                stacklevel=3,
            )
        self.scaledown_ttl = _ttl("scaledown_ttl", self.scaledown_ttl)

    @property
    def min_replicas(self) -> int:
        """The minimum number of replicas."""
        return self.replicas if isinstance(self.replicas, int) else self.replicas[0]

    @property
    def max_replicas(self) -> int:
        """The maximum number of replicas."""
        return self.replicas if isinstance(self.replicas, int) else self.replicas[1]

    def get_idle_ttl(self) -> timedelta:
        """Return the environment-level idle timeout as a timedelta."""
        return _delta(self.idle_ttl)

    def get_scaledown_ttl(self) -> timedelta:
        """Return the scale-down delay of one replica as a timedelta."""
        return _delta(self.scaledown_ttl)


def _bounds(replicas: object) -> tuple[int, int]:
    low, high = _pair(replicas)
    for label, value in (("min", low), ("max", high)):
        _whole(f"replicas {label}", value)
        if value < 0:
            raise ValueError(f"replicas {label} must be greater than or equal to 0, got {value}")
    if low > high:
        raise ValueError(f"replicas min ({low}) must be less than or equal to max ({high})")
    if high == 0:
        raise ValueError("replicas max must be at least 1, got 0")
    return low, high


def _pair(replicas: object) -> tuple[int, int]:
    if replicas is None:
        raise ValueError("replicas cannot be None")
    if isinstance(replicas, int) and not isinstance(replicas, bool):
        return replicas, replicas
    if isinstance(replicas, tuple) and len(replicas) == 2:  # noqa: PLR2004  # a pair
        return replicas
    raise ValueError("replicas must be an int or a tuple of two ints")


def _whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} must be an int, got {value!r}")


def _ttl(name: str, value: object) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | timedelta):
        raise ValueError(f"{name} must be an int (seconds) or a timedelta")
    try:
        delta = _delta(value)
    except OverflowError as error:
        raise ValueError(f"{name} is too long: {value}") from error
    if delta < MIN_TTL:
        raise ValueError(f"{name} must be at least 30 seconds")
    return delta


def _delta(value: int | timedelta) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(seconds=value)
