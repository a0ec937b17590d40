"""Commands: what rq's own tools tell a worker, as far as replicas obey it."""

from __future__ import annotations

import json
from typing import Any

_NAMES = {"stop-job": "job_id", "stop-execution": "execution_id"}


def to_stop(message: Any) -> str:
    """Return the job's or the execution's id that a message on a replica's channel says to stop.

    Empty for any other message: it means "beat now", as every one does.
    """
    try:
        told = json.loads(message["data"])
        found = told[_NAMES[told["command"]]]
    except (TypeError, KeyError, ValueError):
        return ""
    return found if isinstance(found, str) else ""
