"""Interrupt: how another thread ends the function that the main thread is running."""

from __future__ import annotations

import signal
import threading
from types import FrameType

# Applications leave real-time signals alone; Python's own handlers never use them.
_SIGNAL = signal.SIGRTMIN + 1


class JobStopped(BaseException):
    """Raised inside a job that was told to stop; a job's `except Exception` lets it pass."""


class Interrupt:
    """Raises JobStopped in the main thread, but only between `open` and `close`."""

    def __init__(self) -> None:
        self._open = False
        self._installed = False

    def install(self) -> None:
        """Listen for the signal. Only the main thread may call this."""
        signal.signal(_SIGNAL, self._heard)
        self._installed = True

    def open(self) -> None:
        """Let `send` break what the main thread runs from here on."""
        self._open = True

    def close(self) -> None:
        """Let `send` break nothing more."""
        self._open = False

    def send(self) -> None:
        """Break what may be broken, if anything; from any thread."""
        if self._installed:
            signal.pthread_kill(threading.main_thread().ident or 0, _SIGNAL)

    def _heard(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._open:
            self._open = False
            raise JobStopped
