"""Zygote: a process that has loaded an application and forks replicas of it on demand."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import signal
import socket
import sys
import threading
from pathlib import Path

import structlog

import reuse_queue.link  # noqa: F401  # `env.bind` in a replica imports it late
from reuse_queue.broker.connection import Connection, Step, command
from reuse_queue.environment import TaskEnvironment
from reuse_queue.errors import RedisUnavailable, TargetNotLoaded
from reuse_queue.messages import (
    LONGEST_TEXT,
    Failed,
    Fork,
    Forked,
    Loaded,
    NotForked,
    receive,
    send,
)
from reuse_queue.settings import Settings
from reuse_worker import fingerprint, spawn, target
from reuse_worker.steps import rq_version

log = structlog.get_logger()


class Zygote:
    """One target, loaded once; it has one thread and no loop, so that a fork is safe.

    Args:
        name: the target.
        agent: the agent's process id; replicas become that process's children.
        channel: the zygote's end of the pair.
        settings: for the replicas.
    """

    def __init__(self, name: str, agent: int, channel: socket.socket, settings: Settings) -> None:
        self._name = name
        self._agent = agent
        self._channel = channel
        self._settings = settings

    def run(self) -> int:
        """Load the target, say how that went, and fork what is asked for until the agent ends."""
        env = self._load()
        if env is None:
            return 1
        if env.start_method == "spawn":
            return 0
        _rehearse(self._settings)
        _warn_of_threads(env.name)
        gc.collect()
        gc.freeze()
        while True:
            message, descriptors = receive(self._channel)
            if message is None:
                return 0
            if isinstance(message, Fork):
                self._fork(env, message.replica, *descriptors)
            for descriptor in descriptors:
                os.close(descriptor)

    # ---------------------------------------------------------------------------------------

    def _load(self) -> TaskEnvironment | None:
        name = ""
        try:
            env = target.load(self._name)
            name = env.name
            # A spawned replica runs the preload hooks itself: it gets nothing from here.
            if env.start_method != "spawn":
                target.preload(env)
        except TargetNotLoaded as error:
            text = target.explained(error)[-LONGEST_TEXT:]
            send(self._channel, Failed(traceback=text, environment=name))
            return None
        loaded = Loaded(
            record=env.record(self._name),
            version=fingerprint.version(env),
            start_method=env.start_method,
        )
        send(self._channel, loaded)
        return env

    def _fork(self, env: TaskEnvironment, replica: str, board: int, note: int) -> None:
        """Fork twice, so that the replica's parent is the agent once the child between ends."""
        spawn.flush()
        try:
            between = os.fork()
        except OSError as error:
            send(self._channel, NotForked(replica=replica, error=str(error)))
            return
        if between == 0:
            spawn.end_with(lambda: self._between(env, replica, board, note))
        _, status = os.waitpid(between, 0)
        if code := os.waitstatus_to_exitcode(status):
            why = os.strerror(code) if code > 0 else f"killed by signal {-code}"
            send(self._channel, NotForked(replica=replica, error=why))

    def _between(self, env: TaskEnvironment, replica: str, board: int, note: int) -> int:
        me = os.getpid()
        try:
            forked = os.fork()
        except OSError as error:
            return error.errno or 1
        if forked == 0:
            spawn.end_with(lambda: self._replica(env, replica, board, note, between=me))
        return 0

    def _replica(
        self, env: TaskEnvironment, replica: str, board: int, note: int, *, between: int
    ) -> int:
        _outlive(between)
        spawn.tie_to(self._agent)
        os.setsid()
        _forget_signals()
        _forget_randomness()
        send(self._channel, Forked(replica=replica, pid=os.getpid()))
        self._channel.close()
        return spawn.run(env, replica, board, note, self._settings)


def _rehearse(settings: Settings) -> None:
    """Do here once what would else be done first, and slowly, by every replica."""
    rq_version()
    asyncio.run(_meet(settings))


async def _meet(settings: Settings) -> None:
    connection = Connection(settings)
    # Replicas will say it if Redis is not there.
    with contextlib.suppress(RedisUnavailable):
        await connection.arun(_ping())
    await connection.aclose()


def _ping() -> Step[object]:
    return (yield command("PING"))


def _warn_of_threads(env: str) -> None:
    python = [each.name for each in threading.enumerate() if each is not threading.main_thread()]
    native = sum(1 for _ in Path("/proc/self/task").iterdir()) - 1 - len(python)
    if python or native > 0:
        log.warning(
            "import left threads running",
            environment=env,
            threads=python,
            native_threads=max(0, native),
            remedy="they do not exist in forked replicas, which may hang where they are needed: "
            'start them in an on_start hook, or give the environment start_method="spawn"',
        )


def _outlive(parent: int) -> None:
    """Return when `parent` has ended and this process has been handed to the agent."""
    if os.getppid() != parent:
        return
    try:
        watched = os.pidfd_open(parent)
    except ProcessLookupError:
        return
    # The parent may have ended, and its number been given away, before it was opened.
    if os.getppid() == parent:
        select.select([watched], [], [])
    os.close(watched)


def _forget_signals() -> None:
    """Let signals do what they do by default, whatever the application set for its own process."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _forget_randomness() -> None:
    """Seed numpy anew: Python's own generator does that by itself, this one would repeat itself."""
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()
