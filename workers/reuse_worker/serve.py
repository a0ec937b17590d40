"""serve: run one replica in this process, to its end."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable

import structlog

from reuse_queue.board import Board
from reuse_queue.broker.connection import Connection
from reuse_queue.environment import TaskEnvironment
from reuse_queue.settings import Settings
from reuse_worker.daemon import Daemon
from reuse_worker.exit_code import ExitCode
from reuse_worker.forks import part_with_children

log = structlog.get_logger()


def serve(
    env: TaskEnvironment,
    replica: str,
    board: Board,
    settings: Settings,
    report: Callable[[str], object] = sys.stderr.write,
) -> int:
    """Run a replica on the main thread until it ends, and return its process's exit code.

    SIGTERM and SIGINT drain it: running jobs have `settings.drain_grace` to finish, the others
    go back to the queue. A second one ends the grace at once. The caller must end the process
    with the code by `os._exit`: a job that ignored its stop may still run in it.

    Args:
        env: the environment with its tasks and hooks; it is bound to `settings`' Redis,
            with the patience that the application has given it.
        replica: the name under which the replica was ordered.
        board: shows the agent what runs; with a slot for each of the policy's concurrency.
        settings: where Redis is, and the times.
        report: gets the traceback when an on_start hook fails.

    Returns:
        0 ended as asked, 1 unexpected error, 93 fenced itself, 94 on_start failed (ExitCode).
    """
    structlog.contextvars.bind_contextvars(environment=env.name, replica=replica)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    part_with_children(loop)
    main = loop.create_task(_serve(env, replica, board, settings, report))
    try:
        return int(_completed(loop, main))
    except Exception:
        log.exception("replica failed")
        return int(ExitCode.UNEXPECTED)
    finally:
        _close(loop, settings.kill_grace.total_seconds())


async def _serve(
    env: TaskEnvironment,
    replica: str,
    board: Board,
    settings: Settings,
    report: Callable[[str], object],
) -> ExitCode:
    connection = Connection(settings)
    env.bind(connection, patience=env.patience)
    try:
        daemon = Daemon(env, replica, board, connection, report)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, daemon.stop)
        return await daemon.run()
    finally:
        await connection.aclose()


def _completed(loop: asyncio.AbstractEventLoop, main: asyncio.Task[ExitCode]) -> ExitCode:
    """Run the loop until `main` is done, whatever jobs do to it, and whatever they leave there."""
    while True:
        try:
            return loop.run_until_complete(main)
        except (SystemExit, KeyboardInterrupt):
            # A task that a job started: asyncio lets these through. It ends alone.
            if main.done():
                raise
            log.warning("a background task asked for the end of the process: it ended alone")
        except RuntimeError:
            # A job has stopped the loop, and with it everybody else's jobs.
            if main.done():
                raise
            log.warning("a job stopped the loop: it goes on")


def _close(loop: asyncio.AbstractEventLoop, grace_s: float) -> None:
    """Cancel what jobs and hooks have left on the loop, and close it if they give way."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=grace_s))
    if all(task.done() for task in left):
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
