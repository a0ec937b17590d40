"""The edge of every command: our errors, and the system's, become one line and an exit code."""

from __future__ import annotations

import errno
import io
import sys
from enum import IntEnum
from typing import Any

import click

from reuse_queue.errors import (
    InvalidSettings,
    JobNotFound,
    RedisNotInstalled,
    RedisRefused,
    RedisUnavailable,
    ReuseQueueError,
    TargetNotLoaded,
    UnknownEnvironment,
    UnknownReplica,
    UnknownTask,
    UnsupportedRedis,
)


class ExitCode(IntEnum):
    """What a command's exit code says."""

    OK = 0
    FAILED = 1
    """What was asked for did not happen, or `doctor` found a problem."""
    USAGE = 2
    """The command line, a setting or a target is wrong."""
    NO_REDIS = 3
    """Redis cannot be reached, or cannot be used."""
    NOT_FOUND = 4
    """There is no environment, replica or job of that name."""


_CODES: tuple[tuple[ExitCode, tuple[type[ReuseQueueError], ...]], ...] = (
    (ExitCode.USAGE, (InvalidSettings, TargetNotLoaded)),
    (ExitCode.NO_REDIS, (RedisUnavailable, RedisRefused, RedisNotInstalled, UnsupportedRedis)),
    (ExitCode.NOT_FOUND, (UnknownEnvironment, UnknownReplica, UnknownTask, JobNotFound)),
)


class Commands(click.Group):
    """A group whose commands may raise our errors, and OSError."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        for stream in (sys.stdout, sys.stderr):
            # A name in Redis may be no text at all.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except ReuseQueueError as error:
            raise failure(error) from error
        except OSError as error:
            # click itself ends quietly when who reads from a pipe has gone.
            if error.errno is None or error.errno == errno.EPIPE:
                raise
            place = f": {error.filename}" if error.filename else ""
            raise Failed(f"{error.strerror}{place}") from error


def failure(error: ReuseQueueError) -> click.ClickException:
    """Return what click prints and exits with for one of our errors."""
    return Failed(str(error), code_of(error))


def code_of(error: ReuseQueueError) -> ExitCode:
    """Return the exit code that an error ends a command with."""
    for code, kinds in _CODES:
        if isinstance(error, kinds):
            return code
    return ExitCode.FAILED


class Failed(click.ClickException):
    """A command's end with a message and a code."""

    def __init__(self, message: str, code: int = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click reads it from the instance
