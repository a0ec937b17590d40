"""Identity: which run of which process an agent is, and whether that one is gone for certain."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path

_ENDED = {"Z", "X", "x"}
_STATE, _STARTED = 0, 19  # fields of /proc/<pid>/stat, counted after the process's name


class Presence(Enum):
    """What can be said of another agent."""

    ALIVE = "alive"
    GONE = "gone"
    ELSEWHERE = "elsewhere"
    """Another machine, container or boot: only its lease can tell."""


def mine() -> str:
    """Return this process's identity: boot, process namespace, pid and start time."""
    return f"{_here()}/{os.getpid()}/{started(os.getpid())}"


def presence(identity: str) -> Presence:
    """Return whether the process of that identity is there."""
    here, _, process = identity.partition("/")
    pid, _, start = process.partition("/")
    if here != _here() or not pid.isdigit():
        return Presence.ELSEWHERE
    stat = _stat(int(pid))
    # One that has ended stays in the table until its parent waits for it, perhaps for ever.
    alive = bool(stat) and stat[_STATE] not in _ENDED and stat[_STARTED] == start
    return Presence.ALIVE if alive else Presence.GONE


def started(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 where there is none.

    With it, a process that got the number of an earlier one is not taken for that one.
    """
    stat = _stat(pid)
    return int(stat[_STARTED]) if stat else 0


def stopped(pid: int) -> bool:
    """Return whether a process is stopped (SIGSTOP, a debugger): it lives but does nothing."""
    stat = _stat(pid)
    return bool(stat) and stat[_STATE] in {"T", "t"}


def _here() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}.{Path('/proc/self/ns/pid').stat().st_ino}"


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # The name is in parentheses and may hold anything, spaces and parentheses included.
    return text.rpartition(")")[2].split()
