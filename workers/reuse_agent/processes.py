"""Processes: children of this agent, watched by pidfd; strangers that it adopted are reaped."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from reuse_agent import identity

_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True, eq=False)
class Process:
    """A child, held by its pidfd: a signal can't reach another process of the same number."""

    pid: int
    fd: int
    started: int
    """Clock ticks since boot."""
    status: int | None = None
    """How it ended: its exit code, or minus the signal's number; None while it lives."""
    popen: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    """Where Python keeps the status too, of what `Processes.spawn` started."""

    @property
    def stopped(self) -> bool:
        """Whether it is suspended, so that it lives but does nothing."""
        return self.status is None and identity.stopped(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still lives."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.fd, number)

    def kill(self) -> None:
        """End it, whatever it does."""
        self.send(signal.SIGKILL)

    def reap(self) -> None:
        """Take its status and free its number; it must have ended."""
        # What it started and left behind would go on working beside the next run of its job.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        ended = os.waitid(os.P_PIDFD, self.fd, os.WEXITED)
        os.close(self.fd)
        if ended is None:  # never, without WNOHANG
            self.status = 0
        else:
            code = ended.si_status
            self.status = code if ended.si_code == os.CLD_EXITED else -code
        if self.popen is not None:
            self.popen.returncode = self.status


Ended = Callable[[Process], None]


class Processes:
    """Starts and adopts processes and calls back when one has ended.

    This agent is its descendants' subreaper: whatever loses its parent becomes its child. Each
    process that it starts or adopts leads a session and process group of its own, which ends
    with it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._known: dict[int, tuple[Process, Ended]] = {}
        self._expected = 0
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap_strangers)

    def spawn(
        self, words: Sequence[str], env: Mapping[str, str], fds: Sequence[int], ended: Ended
    ) -> Process:
        """Start a program that gets copies of some descriptors."""
        popen = subprocess.Popen(  # noqa: S603  # our own program
            words,
            env=env,
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            # A terminal's Ctrl-C is for the agent alone.
            start_new_session=True,
        )
        process = self.adopt(popen.pid, ended)
        process.popen = popen
        return process

    def adopt(self, pid: int, ended: Ended) -> Process:
        """Watch a child that something else has started, even if it has ended already."""
        process = Process(pid, os.pidfd_open(pid), identity.started(pid))
        self._known[pid] = process, ended
        self._loop.add_reader(process.fd, self._end, pid)
        return process

    @contextlib.contextmanager
    def expecting(self) -> Iterator[None]:
        """Within the block, keep the status of any child: it may be one about to be adopted."""
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1
            self._reap_strangers()

    def close(self) -> None:
        """Watch no longer, and adopt nobody any more."""
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 0)
        self._loop.remove_signal_handler(signal.SIGCHLD)
        for process, _ in self._known.values():
            self._loop.remove_reader(process.fd)
            os.close(process.fd)
        self._known.clear()

    # ---------------------------------------------------------------------------------------

    def _end(self, pid: int) -> None:
        process, ended = self._known.pop(pid)
        self._loop.remove_reader(process.fd)
        process.reap()
        ended(process)

    def _reap_strangers(self) -> None:
        """Reap what tasks' own children left to us."""
        while not self._expected:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            if found.si_pid in self._known:
                self._end(found.si_pid)
            else:
                os.waitpid(found.si_pid, 0)
