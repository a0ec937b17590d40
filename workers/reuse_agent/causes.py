"""Causes: how a process ended, in words."""

from __future__ import annotations

import signal

from reuse_queue.facts import FENCED

# What reuse_worker's exit codes say; the agent doesn't import what runs applications.
_CODES = {93: FENCED, 94: "could not start"}
# Every job that a replica held, and every decision about it, may keep its cause.
_LONGEST_REASON = 500


def ended_by(status: int, *, out_of_memory: bool | None = False) -> str:
    """Return how a process ended.

    Args:
        status: its exit code, or minus the signal's number.
        out_of_memory: whether the kernel killed it for want of memory; None: perhaps.
    """
    if status >= 0:
        meaning = _CODES.get(status)
        return f"exit code {status} ({meaning})" if meaning else f"exit code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    if status == -signal.SIGKILL and out_of_memory:
        return "out of memory: killed by the kernel"
    doubt = status == -signal.SIGKILL and out_of_memory is None
    return f"killed by {name}{' (out of memory?)' if doubt else ''}"


def because(cause: str, said: str) -> str:
    """Return a cause with the last line of what the replica had to say, which names the error."""
    reason = said.strip().rpartition("\n")[2]
    if len(reason) > _LONGEST_REASON:
        reason = f"{reason[:_LONGEST_REASON]} …"
    return f"{cause}: {reason}"
