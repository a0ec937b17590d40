"""Forks: what a job forks is a process of its own, and has no hold on its replica."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def part_with_children(loop: asyncio.AbstractEventLoop) -> None:
    """Let every child that is forked here from now on leave this process' loop alone.

    A child would otherwise keep its parent's connections open after the parent's death, and a
    signal that it gets (`multiprocessing`'s terminate()) would do nothing to it, but wake the
    parent's handler, through the pipe that both have.
    """
    masks = threading.local()

    def block() -> None:
        # What comes for the child before it has parted must find it parted.
        masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def part() -> None:
        _part(loop)
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=part)


def _part(loop: asyncio.AbstractEventLoop) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in _sockets(loop):
        # The number stays taken: Python's objects that own it may still close it.
        os.dup2(nowhere, fd, inheritable=False)
    os.close(nowhere)


def _sockets(loop: asyncio.AbstractEventLoop) -> Iterator[int]:
    """Yield what the loop reads and writes; nothing for a loop that is not asyncio's own."""
    selector = getattr(loop, "_selector", None)
    ours = list((selector and selector.get_map()) or ())
    if pipe := getattr(loop, "_csock", None):
        ours.append(pipe.fileno())
    for fd in ours:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            yield fd
