"""What a command for a long run does when it is told to stop: no traceback, and nothing is left."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

_STOPPED = 130


def stoppable(name: str, main: Callable[[], int]) -> int:
    """Return what `main` returns; end the process once Ctrl-C or SIGTERM has ended it.

    Either is a KeyboardInterrupt in `main`, whose `finally` blocks clear up. What its threads still
    do then, to a fleet that is gone, is not waited for.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return main()
    except KeyboardInterrupt:
        sys.stdout.flush()
        sys.stderr.write(f"{name}: stopped before its end, nothing was judged\n")
        sys.stderr.flush()
        os._exit(_STOPPED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
