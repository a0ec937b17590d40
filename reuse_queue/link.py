"""RedisLink: what stands between an environment and its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from reuse_queue.broker.connection import Connection, Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.post import Post
from reuse_queue.embedded import settings_here
from reuse_queue.ends import named_ends
from reuse_queue.handle import Jobs
from reuse_queue.job import NewJob
from reuse_queue.serializer import compressed
from reuse_queue.settings import Settings
from reuse_queue.signing import Signer, signer

T = TypeVar("T")


class Link(Protocol):
    """The way to an environment's jobs: Redis, or a stand-in for tests."""

    @property
    def settings(self) -> Settings:
        """The settings in force."""

    @property
    def jobs(self) -> Jobs:
        """Where to ask about jobs."""

    def write(self, environment: Any, jobs: Sequence[NewJob]) -> Step[None]:
        """Write jobs of a TaskEnvironment (which stands above here) and push their ids."""

    def run(self, step: Step[T]) -> T:
        """Run a step, blocking."""

    async def arun(self, step: Step[T]) -> T:
        """Run a step on the running loop."""


class RedisLink:
    """The real one; `patience` is how long its steps keep trying to reach Redis."""

    def __init__(self, connection: Connection, patience: timedelta = timedelta(0)) -> None:
        self.connection = connection
        self.settings = connection.settings
        # One for all environments that share the connection: they wait together.
        self.jobs = connection.kept((Post, patience), lambda: Post(connection, patience))
        self._fleet = Fleet(connection.keys, connection.settings)
        self.patience = patience
        self._signer = signer(connection.settings.signing_keys)
        self._announced: set[str] = set()

    def write(self, environment: Any, jobs: Sequence[NewJob]) -> Step[None]:
        """Write jobs; an environment's first ones in this process make it known as well."""
        name = environment.name
        if name not in self._announced:
            yield from self._fleet.announce(environment.record())
            self._announced.add(name)
        if self._signer is not None:
            jobs = [_signed(self._signer, name, job) for job in jobs]
        yield from self.jobs.enqueue(name, jobs)

    def run(self, step: Step[T]) -> T:
        """Run a step with the blocking client."""
        return self.connection.run(step, patience=self.patience)

    async def arun(self, step: Step[T]) -> T:
        """Run a step with the asynchronous client."""
        return await self.connection.arun(step, patience=self.patience)


def _signed(by: Signer, env: str, job: NewJob) -> NewJob:
    # As rq's tools write it when they save a job: the signature must fit then, too.
    data = compressed(job.data)
    return job._replace(
        data=data, signature=by.sign(job.id, env, data, named_ends(job.terms.callbacks))
    )


def redis_link(where: str | Settings | Connection | None, patience: timedelta) -> RedisLink:
    """Return the link to the Redis at a URL (all else as the environment variables say).

    None: to the one that the commands would use here.
    """
    if where is None:
        where = settings_here()
    elif isinstance(where, str):
        where = replace(Settings.from_env(), redis_url=where)
    return RedisLink(Connection(where) if isinstance(where, Settings) else where, patience)
