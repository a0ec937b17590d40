"""Spawn: what is between the start of a replica's process and its service."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from reuse_queue.board import Board
from reuse_queue.environment import TaskEnvironment
from reuse_queue.errors import TargetNotLoaded
from reuse_queue.settings import Settings
from reuse_worker import fingerprint, target
from reuse_worker.exit_code import ExitCode
from reuse_worker.serve import serve

_LONGEST_NOTE = 64 * 1024
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Note:
    """A file in memory in which a replica leaves its agent what it has to say of its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str) -> None:
        """Leave a text in place of any before; a long one loses its start."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, text.encode(errors="replace")[-_LONGEST_NOTE:], 0)


def tie_to(parent: int) -> None:
    """Make this process be killed when `parent` ends; end it at once if that has happened."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def run(env: TaskEnvironment, replica: str, board: int, note: int, settings: Settings) -> int:
    """Serve as that replica and return the exit code; for the main thread of its own process."""
    return serve(env, replica, Board(board), settings, Note(note).write)


def spawned(
    name: str, replica: str, version: str, board: int, note: int, settings: Settings
) -> int:
    """Load a target and serve as that replica of that version; return the exit code."""
    try:
        env = target.load(name)
        _check(fingerprint.version(env), version)
        target.preload(env)
    except TargetNotLoaded as error:
        Note(note).write(target.explained(error))
        return int(ExitCode.START_FAILED)
    return run(env, replica, board, note, settings)


def end_with(main: Callable[[], int]) -> NoReturn:
    """End this process with the code that `main` returns.

    Not by the interpreter's own end, which would wait for a job that does not stop, and would
    run what the zygote's process had registered for its own.
    """
    code = 1
    try:
        code = main()
    except BaseException:  # noqa: BLE001  # nothing above a forked child may see it
        traceback.print_exc()
    finally:
        logging.shutdown()
        flush()
        os._exit(code)


def flush() -> None:
    """Write out what was printed."""
    # Nobody may be reading any more.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()


def _check(found: str, ordered: str) -> None:
    if found != ordered:
        raise TargetNotLoaded(
            f"the code here has changed: version {ordered} was ordered and this is {found}; "
            "SIGHUP makes the agent load it"
        )
