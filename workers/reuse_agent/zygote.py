"""Zygote: the agent's end of a process that has loaded a target and starts its replicas."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import msgspec
import structlog

from reuse_agent.causes import ended_by
from reuse_agent.processes import Ended, Process, Processes
from reuse_queue.errors import ReuseQueueError
from reuse_queue.messages import (
    Failed,
    Fork,
    Forked,
    Loaded,
    Message,
    NotForked,
    pair,
    receive,
    send,
)
from reuse_queue.settings import Settings

log = structlog.get_logger()
FORKS_WITHIN_S = 20.0
"""A zygote that takes longer for a fork is killed: it hangs, or stands still."""


class NotStarted(ReuseQueueError):
    """There is no process for the replica."""


class Zygote:
    """One zygote's process, of one version of the code.

    Attributes:
        target: `module:attribute`.
        loaded: what it said once it had loaded that; None before.
        gone: done when its process has ended.
        stopping: it was told to end.
    """

    def __init__(self, target: str, processes: Processes, settings: Settings) -> None:
        loop = asyncio.get_running_loop()
        self.target = target
        self.loaded: Loaded | None = None
        self.gone: asyncio.Future[Process] = loop.create_future()
        self._settings = settings
        self._processes = processes
        self._answer: asyncio.Future[Loaded | Failed] = loop.create_future()
        self._forks: dict[str, asyncio.Future[int]] = {}
        self.stopping = False
        self._channel, theirs = pair()
        self._channel.settimeout(0)
        with theirs:
            words = ("zygote", target, "--channel", str(theirs.fileno()))
            self._process = self._start(words, [theirs.fileno()], self._end)
        loop.add_reader(self._channel, self._hear)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def concurrency(self) -> int:
        """Jobs that one of its replicas runs at once."""
        policy = self.loaded.record.policy if self.loaded else None
        return policy.concurrency if policy else 1

    @property
    def serves(self) -> bool:
        """Whether replicas can be started of it now."""
        if self.loaded is None or self.stopping:
            return False
        return self.loaded.start_method == "spawn" or not self.gone.done()

    async def load(self) -> Loaded | Failed:
        """Return what it says of its target once it has tried to load it."""
        limit = self._settings.start_timeout.total_seconds()
        try:
            async with asyncio.timeout(limit):
                return await asyncio.shield(self._answer)
        except TimeoutError:
            self.stop()
            return Failed(traceback=f"{self.target} was not loaded within {limit:g} s")

    async def replica(self, name: str, board: int, note: int, ended: Ended) -> Process:
        """Start a replica that gets the two descriptors, and return its process.

        Raises:
            NotStarted: there is no such process. If it took too long, the zygote is killed.
        """
        if self.loaded is None or not self.serves:
            raise NotStarted("its zygote serves no more")
        if self.loaded.start_method == "spawn":
            words = ("replica", self.target, "--name", name, "--version", self.loaded.version)
            ends = ("--board", str(board), "--note", str(note))
            try:
                return self._start((*words, *ends), [board, note], ended)
            except OSError as error:
                raise NotStarted(f"no process: {error}") from error
        with self._processes.expecting():
            return self._processes.adopt(await self._fork(name, board, note), ended)

    def stop(self) -> None:
        """End it once nothing is being forked any more; its replicas live on."""
        self.stopping = True
        if not self._forks:
            self._process.kill()

    # ---------------------------------------------------------------------------------------

    def _start(self, words: tuple[str, ...], fds: list[int], ended: Ended) -> Process:
        program = (sys.executable, "-m", "reuse_worker", *words, "--agent", str(os.getpid()))
        return self._processes.spawn(program, os.environ | self._settings.to_env(), fds, ended)

    async def _fork(self, replica: str, board: int, note: int) -> int:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._forks[replica] = answer
        try:
            send(self._channel, Fork(replica=replica), [board, note])
            # It forks one after the other.
            limit_s = FORKS_WITHIN_S * len(self._forks)
            # An agent that stood still finds answer and end of time at once: the answer counts.
            await asyncio.wait([answer], timeout=limit_s)
            if not answer.done():
                self._kill_hung()
                raise NotStarted(f"not forked within {limit_s:g} s")
            return answer.result()
        except OSError as error:
            raise NotStarted(f"its zygote does not answer: {error}") from error
        finally:
            del self._forks[replica]
            if self.stopping:
                self.stop()

    def _kill_hung(self) -> None:
        """End it, so that another one takes its place."""
        log.error("zygote killed", target=self.target, reason="it does not fork")
        self._process.kill()

    def _hear(self) -> None:
        """Take in all that has arrived."""
        while True:
            try:
                message, _ = receive(self._channel)
            except BlockingIOError:
                return
            except msgspec.DecodeError as error:
                # A policy that was changed against its rules, or more tasks than a message holds.
                message = Failed(traceback=f"what {self.target} is cannot be read: {error}")
            if message is None:
                asyncio.get_running_loop().remove_reader(self._channel)
                return
            self._take(message)

    def _take(self, message: Message) -> None:
        if isinstance(message, Loaded | Failed):
            if isinstance(message, Loaded):
                self.loaded = message
            if not self._answer.done():
                self._answer.set_result(message)
        elif isinstance(message, Forked):
            answer = self._forks.get(message.replica)
            if answer is None or answer.done():
                self._kill_late(message.pid)
            else:
                answer.set_result(message.pid)
        elif isinstance(message, NotForked):
            answer = self._forks.get(message.replica)
            if answer is not None and not answer.done():
                answer.set_exception(NotStarted(f"it could not be forked: {message.error}"))

    def _kill_late(self, pid: int) -> None:
        """End a replica that nobody waits for any more."""
        with contextlib.suppress(ProcessLookupError):
            self._processes.adopt(pid, lambda _: None).kill()

    def _end(self, process: Process) -> None:
        self._hear()
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        how = ended_by(process.status or 0)
        if not self._answer.done():
            text = f"its process ended before {self.target} was loaded: {how}"
            self._answer.set_result(Failed(traceback=text))
        for answer in self._forks.values():
            if not answer.done():
                answer.set_exception(NotStarted(f"its zygote ended: {how}"))
        self.gone.set_result(process)
