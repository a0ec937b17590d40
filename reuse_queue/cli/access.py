"""What commands need of Redis, and the options that every one of them has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from reuse_queue.broker.connection import Connection, Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.queue import JobQueue
from reuse_queue.broker.scaling import Scaling
from reuse_queue.cli import tables
from reuse_queue.cli.names import not_there
from reuse_queue.embedded import settings_here
from reuse_queue.errors import (
    JobNotFound,
    NewerFormat,
    RedisRefused,
    UnknownEnvironment,
    UnknownReplica,
)
from reuse_queue.facts import Replica, Snapshot
from reuse_queue.job import Job, JobStatus
from reuse_queue.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_SEARCHED = 1000
_NONE_ANNOUNCED = "no agent or application has announced any environment here"


class Access:
    """A connection with the broker's steps, and look-ups that suggest names.

    Attributes:
        unreadable: environments that `snapshots` left out, and why.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.unreadable: dict[str, str] = {}
        self.connection = Connection(settings)
        self.keys = self.connection.keys
        self.queue = JobQueue(self.keys)
        self.fleet = Fleet(self.keys, settings)
        self.scaling = Scaling(self.keys, settings)

    def run(self, step: Step[T]) -> T:
        """Run a step, trying once."""
        return self.connection.run(step)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def snapshot(self, env: str) -> Snapshot:
        """Return one environment as it is now.

        Raises:
            UnknownEnvironment: there is none of that name; the message suggests others.
        """
        try:
            return self.run(self.scaling.snapshot(env, poke=False))
        except UnknownEnvironment as error:
            known = self.run(self.fleet.environments())
            raise UnknownEnvironment(
                not_there("environment", env, known, _NONE_ANNOUNCED)
            ) from error

    def snapshots(self) -> list[Snapshot]:
        """Return all environments that can be read; the others are in `unreadable` then."""
        found = []
        for name in self.run(self.fleet.environments()):
            try:
                found.append(self.run(self.scaling.snapshot(name, poke=False)))
            except (NewerFormat, RedisRefused, UnknownEnvironment) as error:
                self.unreadable[name] = str(error)
        return found

    def replica(self, name: str) -> Replica:
        """Return one replica.

        Raises:
            UnknownReplica: there is none of that name; the message suggests others.
        """
        known = {each.name: each for seen in self.snapshots() for each in seen.replicas}
        if name not in known:
            raise UnknownReplica(not_there("replica", name, [*known], "none runs or is ordered"))
        return known[name]

    def job(self, job_id: str) -> Job:
        """Return one job.

        Raises:
            JobNotFound: there is none of that id; the message suggests ids that begin like it.
        """
        try:
            return self.run(self.queue.fetch(job_id))
        except JobNotFound as error:
            raise self.no_job(job_id) from error

    def no_job(self, job_id: str) -> JobNotFound:
        """Return the error for an id that is not there."""
        begin = [each for each in self._some_ids() if each.startswith(job_id)]
        hint = not_there("job", job_id, begin) if begin else ""
        return JobNotFound(
            hint or f"there is no job {job_id!r}: it never existed, or its record has expired"
        )

    def _some_ids(self) -> list[str]:
        """Return the first ids of every environment and status: enough to suggest, bounded."""
        return [
            each
            for env in self.run(self.fleet.environments())
            for status in LISTED
            for each in self.run(self.queue.ids(env, status, 0, _SEARCHED))
        ]


LISTED: Sequence[JobStatus] = (
    JobStatus.STARTED,
    JobStatus.QUEUED,
    JobStatus.SCHEDULED,
    JobStatus.DEFERRED,
    JobStatus.FAILED,
    JobStatus.CANCELED,
    JobStatus.FINISHED,
)
"""The statuses that a job can be listed by."""


def settings_for(redis_url: str | None) -> Settings:
    """Return this process's settings with the Redis that was asked for."""
    return replace(Settings.from_env(), redis_url=redis_url) if redis_url else settings_here()


def redis_option(otherwise: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Give a command --redis-url, or what its environment variables say, or `otherwise`."""
    return click.option(
        "--redis-url",
        metavar="URL",
        envvar=["REUSE_QUEUE_REDIS_URL", "REDIS_URL"],
        show_envvar=True,
        help=f"redis://, rediss://, unix:// or redis+sentinel://; otherwise {otherwise}.",
    )


def json_option(function: Callable[P, R]) -> Callable[P, R]:
    """Give a command --json."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON: ISO times, durations in seconds."
    )(function)


def with_access(function: Callable[Concatenate[Access, P], R]) -> Callable[..., R]:
    """Give a command --redis-url and an `Access` as its first argument."""

    @redis_option("the Redis of a `run` in this folder, or redis://localhost:6379/0")
    @wraps(function)
    def command(*args: Any, redis_url: str | None, **options: Any) -> R:
        with closing(Access(settings_for(redis_url))) as access:
            try:
                return function(access, *args, **options)
            finally:
                for name, why in access.unreadable.items():
                    click.echo(f"Left out: environment {tables.readable(name)}: {why}", err=True)

    return command
