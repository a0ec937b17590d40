"""Processes that `run` starts, and ends before it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from reuse_queue.embedded import ending_with_parent, fresh_log, last_lines

_TAIL = 30
_EVENT = re.compile(r"\d{4}-\d\d-\d\dT|\{")
_LINE_LIMIT = 2**20


class Child:
    """One of our own programs, in a process group of its own, printing into a log file.

    It gets SIGTERM when we end, however we end.

    Attributes:
        name: what it is called in messages.
        log: where it prints to.
    """

    def __init__(self, name: str, log: Path, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    async def start(
        cls, name: str, words: Sequence[str], environ: Mapping[str, str], folder: Path
    ) -> Child:
        """Start `python -m` with some words; its log goes into `folder`."""
        path = fresh_log(folder / f"{name}.log")
        with path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *words),
                env={**os.environ, **environ},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches the whole group of the terminal; ours end in an order.
                process_group=0,
                preexec_fn=ending_with_parent(),  # one system call, takes no lock
            )
        return cls(name, path, process)

    @property
    def code(self) -> int | None:
        """Its exit code, None while it lives."""
        return self._process.returncode

    async def wait(self) -> int:
        """Wait for its end and return its exit code."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self.terminate()
        await self.wait()

    def terminate(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it and everything in its process group now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def story(self) -> str:
        """Return how it ended, and what it printed last (more of it is in its log)."""
        said = last_words(last_lines(self.log, _TAIL))
        return f"the {self.name} ended {_ending(self.code)} (see {self.log}):\n{said}"


class UserCommand:
    """The command that `run` was given: it has our terminal, our group and our Ctrl-C."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, words: Sequence[str], environ: Mapping[str, str], *, relayed: bool
    ) -> UserCommand:
        """Start the command; where `relayed`, what it prints for our terminal is in `streams`."""
        process = await asyncio.create_subprocess_exec(
            *words,
            env={**os.environ, **environ},
            stdout=asyncio.subprocess.PIPE if relayed and sys.stdout.isatty() else None,
            stderr=asyncio.subprocess.PIPE if relayed and sys.stderr.isatty() else None,
            limit=_LINE_LIMIT,
            preexec_fn=ending_with_parent(),  # one system call, takes no lock
        )
        return cls(process)

    @property
    def streams(self) -> list[asyncio.StreamReader]:
        """The streams that are to be read."""
        return [each for each in (self._process.stdout, self._process.stderr) if each]

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for its end; return its exit code as a shell would say it."""
        code = await self._process.wait()
        return 128 - code if code < 0 else code

    def end(self, number: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)


def last_words(log: str) -> str:
    """Return what follows the last event of a log, a traceback say; all of it if that is one."""
    words: list[str] = []
    for line in log.splitlines():
        words = [] if _EVENT.match(line) else [*words, line]
    return "\n".join(words) or log


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"with exit code {code}"
