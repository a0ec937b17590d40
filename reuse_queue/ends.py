"""What a job names for its end: functions to be called, requests to be sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class When(StrEnum):
    """At which end of a run a callback is called; the values begin rq's field names."""

    SUCCESS = "success"
    FAILURE = "failure"
    """Each time that a run of the job fails, whether or not it is tried again."""
    STOPPED = "stopped"
    """When it was canceled while it ran."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedCallback:
    """A function that a job names, to be called when it ends."""

    name: str
    """Its dotted name."""
    timeout: timedelta | None = timedelta(seconds=60)
    """How long it may run; None for no limit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """An HTTP request that a job of rq's asks for at its end."""

    url: str
    status: str
    """At which: finished or failed."""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: timedelta = timedelta(seconds=10)

    @property
    def where(self) -> str:
        """The URL without what may be secret in it."""
        return self.url.partition("?")[0].rpartition("@")[2]


def named_ends(
    callbacks: Mapping[When, NamedCallback] | None, webhooks: Sequence[Webhook] | None = None
) -> bytes:
    """Return what is named for which ends, to be signed; empty for nothing."""
    found = callbacks or {}
    lines = [f"{when} {found[when].name}" for when in When if when in found]
    lines += [f"webhook {each.status} {each.method} {each.url}" for each in webhooks or ()]
    return "\n".join(lines).encode()
