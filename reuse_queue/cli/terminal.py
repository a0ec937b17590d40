"""The terminal's own echo, which would write over what is drawn."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from collections.abc import Iterator

_FAILURES = (termios.error, ValueError, OSError)


@contextlib.contextmanager
def silent_keys(*, all_keys: bool) -> Iterator[None]:
    """Let the terminal not show `^C` while the block runs, nor any other key if `all_keys`."""
    if not _in_front():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    now = before.copy()
    now[3] &= ~(termios.ECHO if all_keys else termios.ECHOCTL)
    termios.tcsetattr(sys.stdin, termios.TCSANOW, now)
    try:
        yield
    finally:
        with contextlib.suppress(*_FAILURES):
            termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _in_front() -> bool:
    """Whether we have a terminal, in the foreground: in the background a change would stop us."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except _FAILURES:
        return False
