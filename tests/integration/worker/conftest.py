"""Replicas for tests: ordered by hand, run in the test's own loop."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
import rq

from reuse_queue import ReusePolicy, TaskEnvironment
from reuse_queue.board import SPARE, Board
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.keys import Keys
from reuse_queue.facts import ReplicaState
from reuse_queue.settings import Settings
from reuse_worker.daemon import Daemon
from support.eventually import eventually

KEYS = Keys()


class Lab:
    """An environment, its queue as stock rq sees it, and replicas that serve it."""

    def __init__(self, raw: redis.Redis, settings: Settings) -> None:
        self.raw = raw
        self.settings = settings
        self.env = environment(concurrency=4)
        self.reports: list[str] = []
        self.state_when_ordered = "ordered"

    def serve(self, *functions: Callable[..., Any], concurrency: int = 4) -> None:
        """Make the environment anew, with these tasks."""
        self.env = environment(*functions, concurrency=concurrency)

    def enqueue(self, function: Callable[..., Any] | str, *args: Any, **options: Any) -> rq.job.Job:
        """Enqueue as any program with stock rq does."""
        queue = rq.Queue(self.env.name, connection=self.raw, serializer="json")
        name = function if isinstance(function, str) else name_of(function)
        return queue.enqueue(name, *args, **options)

    def order(self, name: str) -> None:
        """Write what the scaler writes when it wants a replica."""
        env, now_ms = self.env.name, int(time.time() * 1000)
        fields: dict[Any, Any] = {
            "environment": env,
            "host": "testhost",
            "version": "1",
            "state": self.state_when_ordered,
            "ordered_at": now_ms,
        }
        self.raw.hset(KEYS.replica(env, name), mapping=fields)
        self.raw.sadd(KEYS.assigned(env, "testhost"), name)
        self.raw.zadd(KEYS.replicas(env), {name: now_ms + 30_000})

    def record(self, name: str = "r1") -> dict[str, str]:
        found: dict[Any, Any] = self.raw.hgetall(KEYS.replica(self.env.name, name))
        return {key.decode(): value.decode() for key, value in found.items()}

    def queued(self) -> list[str]:
        ids: list[Any] = self.raw.lrange(KEYS.queue(self.env.name), 0, -1)
        return [job_id.decode() for job_id in ids]

    def tell(self, state: ReplicaState, name: str = "r1", **fields: str) -> None:
        """Do what a scaler does: set a state and say that there is news."""
        known: dict[Any, Any] = {"state": state.value, **fields}
        self.raw.hset(KEYS.replica(self.env.name, name), mapping=known)
        self.raw.publish(KEYS.replica_channel(name), "{}")

    def held(self, name: str = "r1") -> int:
        return self.raw.scard(KEYS.worker_executions(name))

    @asynccontextmanager
    async def replica(self, name: str = "r1", *, ready: bool = True) -> AsyncIterator["Running"]:
        """Run a replica, ready if it is to be, until it ends or the block does."""
        self.order(name)
        connection = Connection(self.settings)
        self.env.bind(connection)
        board = Board.create(self.env.policy.concurrency + SPARE)
        daemon = Daemon(self.env, name, board, connection, self.reports.append)
        running = Running(daemon, board, asyncio.ensure_future(daemon.run()))
        try:
            if ready:
                await eventually(
                    lambda: self.record(name).get("state") == "ready" or running.done,
                    what="the replica is ready",
                )
            yield running
        finally:
            running.task.cancel()
            await asyncio.wait([running.task])
            await connection.aclose()
            board.close()


class Running:
    """A replica that runs in the test's loop."""

    def __init__(self, daemon: Daemon, board: Board, task: "asyncio.Future[int]") -> None:
        self.daemon = daemon
        self.board = board
        self.task = task

    @property
    def done(self) -> bool:
        return self.task.done()

    async def code(self) -> int:
        """Return its exit code once it has ended."""
        return await asyncio.wait_for(asyncio.shield(self.task), 20)


def environment(*functions: Callable[..., Any], concurrency: int) -> TaskEnvironment:
    made = TaskEnvironment(
        name="lab", reusable=ReusePolicy(replicas=(0, 3), concurrency=concurrency)
    )
    for function in functions:
        made.task(function)
    return made


def name_of(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


@pytest.fixture
def lab(raw: redis.Redis, settings: Settings) -> Lab:
    return Lab(raw, settings)
