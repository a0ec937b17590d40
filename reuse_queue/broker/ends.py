"""What is to be called and sent at a job's end: the words of our Lua steps ↔ records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from reuse_queue.broker import codec
from reuse_queue.ends import NamedCallback, Webhook, When

# rq's limit for a callback that says nothing itself.
_CALLBACK_TIMEOUT = timedelta(seconds=60)


def parts(text: bytes | None) -> dict[str, Any]:
    """Return the parts of a ClaimedJob that lua/lib/callbacks.lua tells of: callbacks and the like.

    None at all for most jobs, whose ends nobody is told of.
    """
    if not text:
        return {}
    found: dict[str, Any] = json.loads(text.decode(errors="replace"))
    webhooks, decided = found.pop("webhooks", None), found.pop("decided", None)
    named = {
        When(when): NamedCallback(name=name, timeout=_callback_limit(timeout))
        for when, (name, timeout) in found.items()
    }
    return {
        "callbacks": named or None,
        "webhooks": _webhooks(webhooks) if webhooks else None,
        "decided": codec.decided_of(decided) if decided else None,
    }


def _webhooks(text: str) -> tuple[Webhook, ...]:
    try:
        return tuple(map(_webhook, json.loads(text)))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        # One that is allowed nowhere: the job says why it fails.
        return (Webhook(url="", status="failed"),)


def _webhook(found: Mapping[str, Any]) -> Webhook:
    return Webhook(
        url=str(found["url"]),
        status=str(found["job_status"]),
        method=str(found.get("method", "GET")),
        headers={str(name): str(value) for name, value in (found.get("headers") or {}).items()},
        timeout=timedelta(seconds=found.get("timeout", 10)),
    )


def _callback_limit(text: str) -> timedelta | None:
    try:
        return codec.duration(text.encode(), _CALLBACK_TIMEOUT)
    except OverflowError:  # longer than any process lives
        return None
