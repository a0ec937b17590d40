"""What an operator sets for one process: read once, passed down, never changed."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta

from reuse_queue.errors import InvalidSettings
from reuse_queue.signing import signer

DEFAULT_REDIS_URL = "redis://localhost:6379/0"
# A reply that takes much longer counts as lost.
_LONGEST_REPLICATION = timedelta(seconds=5)
_RECORDS_OUTLAST = timedelta(seconds=60)
_LOG_LEVELS = ("debug", "info", "warning", "error")
_PREFIX = re.compile(r"[A-Za-z0-9_.:{}-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The settings of one process; `Settings.from_env()` reads them.

    Durations are timedeltas. Every field has an environment variable: `REUSE_QUEUE_` and the
    field's name in capitals (durations in seconds: `REUSE_QUEUE_LEASE=30`); `redis_url` also
    listens to `REDIS_URL`, `key_prefix` to rq's own `RQ_KEY_PREFIX`.
    """

    redis_url: str = DEFAULT_REDIS_URL
    key_prefix: str = "rq"
    host: str = field(default_factory=socket.gethostname)
    lease: timedelta = timedelta(seconds=30)
    """How long a replica keeps its jobs without renewing."""
    heartbeat: timedelta = timedelta(seconds=1)
    """How often a replica beats; how late it hears of a drain or a cancel, at most."""
    drain_grace: timedelta = timedelta(seconds=30)
    """How long a replica that was told to stop lets running jobs go on."""
    kill_grace: timedelta = timedelta(seconds=2)
    """How long a job past its timeout, or a canceled one, may take to give way."""
    start_timeout: timedelta = timedelta(seconds=300)
    """How long a replica may take from its order to ready, hooks included."""
    tick: timedelta = timedelta(seconds=0.5)
    """How often the scaler looks when nothing wakes it."""
    replication_timeout: timedelta = timedelta(seconds=2)
    """How long an enqueue that is to be replicated waits for a replica; at most 5 s."""
    max_deliveries: int = 3
    """How often a job may be lost with its replica before it is dead."""
    max_payload: int = 10 * 1024 * 1024
    """Bytes that the arguments, or the result, of one job may take."""
    signing_keys: str = field(default="", repr=False)
    """`id:secret` or two of these: payloads are signed with the first, unsigned ones not run."""
    log_level: str = "info"
    log_format: str = "console"
    """`console` or `json`."""

    def __post_init__(self) -> None:
        for wrong in self._wrong():
            raise InvalidSettings(wrong)
        signer(self.signing_keys)

    def _wrong(self) -> Iterator[str]:
        if not _PREFIX.fullmatch(self.key_prefix):
            yield f"key_prefix {self.key_prefix!r} may hold only letters, digits and _ . : {{ }} -"
        yield from self._wrong_durations()
        for name in ("max_deliveries", "max_payload"):
            if getattr(self, name) < 1:
                yield f"{name} must be at least 1"
        if self.log_level.lower() not in _LOG_LEVELS:
            yield f"log_level must be one of {', '.join(_LOG_LEVELS)}; got {self.log_level!r}"
        if self.log_format not in {"console", "json"}:
            yield f"log_format must be console or json, got {self.log_format!r}"

    def _wrong_durations(self) -> Iterator[str]:
        for name in ("lease", "heartbeat", "tick", "start_timeout"):
            if getattr(self, name) <= timedelta(0):
                yield f"{name} must be longer than 0 seconds"
        for name in ("drain_grace", "kill_grace"):
            if getattr(self, name) < timedelta(0):
                yield f"{name} must not be negative"
        if not timedelta(0) < self.replication_timeout <= _LONGEST_REPLICATION:
            yield "replication_timeout must be longer than 0 and at most 5 seconds"
        if self.heartbeat * 2 > self.lease:
            yield "lease must be at least twice as long as heartbeat"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Return the settings that environment variables (or `environ`) give.

        Raises:
            InvalidSettings: a variable's text cannot be read as its type.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, object] = {}
        for each in fields(cls):
            for variable in _variables(each.name):
                if text := environ.get(variable):
                    values[each.name] = _read(variable, text, str(each.type))
                    break
        return cls(**values)  # type: ignore[arg-type]  # names and types come from the fields

    @classmethod
    def names_redis(cls, environ: Mapping[str, str] | None = None) -> bool:
        """Return whether environment variables say which Redis it is."""
        environ = os.environ if environ is None else environ
        return any(environ.get(variable) for variable in _variables("redis_url"))

    @property
    def records_last(self) -> timedelta:
        """How long the records of what a lease covers last without renewal: longer than it.

        rq's own cleanup (even `rq info` runs it) fails what it finds lapsed; ours comes first.
        """
        return self.lease + _RECORDS_OUTLAST

    def to_env(self) -> dict[str, str]:
        """Return the environment variables from which `from_env` reads these settings."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {
            f"REUSE_QUEUE_{name.upper()}": f"{value.total_seconds():.6f}"
            if isinstance(value, timedelta)
            else str(value)
            for name, value in values
        }


_ALIASES: dict[str, tuple[str, ...]] = {
    "redis_url": ("REDIS_URL",),
    "key_prefix": ("RQ_KEY_PREFIX",),
}
_READERS: dict[str, tuple[Callable[[str], object], str]] = {
    "timedelta": (lambda text: timedelta(seconds=float(text)), "a number of seconds"),
    "int": (int, "a whole number"),
}


def _variables(name: str) -> tuple[str, ...]:
    return (f"REUSE_QUEUE_{name.upper()}", *_ALIASES.get(name, ()))


def _read(variable: str, text: str, kind: str) -> object:
    reader, form = _READERS.get(kind, (str, "a text"))
    try:
        return reader(text)
    except (ValueError, OverflowError) as error:
        raise InvalidSettings(f"{variable}={text!r}: it must be {form}") from error
