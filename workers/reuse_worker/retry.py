"""rq's `Retry`, which a task may return: known without importing rq."""

from __future__ import annotations

import sys

from reuse_queue.job import Again


def asked(value: object) -> Again | None:
    """Return what a returned value asks for, if it is rq's `Retry`."""
    rq = sys.modules.get("rq.job")
    # Nobody can have made one where rq has not been imported.
    if rq is None or not isinstance(value, rq.Retry):
        return None
    waits = tuple(map(float, value.intervals))
    return Again(most=value.max, waits=waits, first=bool(value.enqueue_at_front))
