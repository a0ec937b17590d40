"""Roster: an environment on one live host, led by the test, for tests of the fleet's records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

import redis

from reuse_queue.broker.connection import Connection, Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.scaling import Scaling
from reuse_queue.facts import (
    Action,
    ActionKind,
    Decision,
    DrainReason,
    EnvironmentState,
    Host,
    Replica,
    ReplicaState,
    Snapshot,
)
from support.fleets import environment

ENV, HOST, TOKEN = "classify", "testhost", "the test leads"
T = TypeVar("T")


class Roster:
    """Runs the steps of Fleet and Scaling."""

    def __init__(self, connection: Connection, raw: redis.Redis) -> None:
        self.connection = connection
        self.raw = raw
        self.keys = connection.keys
        self.fleet = Fleet(connection.keys, connection.settings)
        self.scaling = Scaling(connection.keys, connection.settings)
        self.run(self.fleet.announce(environment(0, 4), "v1"))
        self.run(self.fleet.host_sync(self.host()))
        self.run(self.scaling.lead(TOKEN, timedelta(minutes=1)))

    def run(self, step: Step[T]) -> T:
        return self.connection.run(step)

    def host(self, **fields: Any) -> Host:
        given = {"name": HOST, "agent": "one", "max_replicas": 4, "offers": {ENV: "v1"}, **fields}
        return Host(**given)

    def seen(self) -> Snapshot:
        return self.run(self.scaling.snapshot(ENV, poke=False))

    def replica(self, name: str = "r1") -> Replica | None:
        return next((each for each in self.seen().replicas if each.name == name), None)

    def state(self, name: str = "r1") -> ReplicaState | None:
        found = self.replica(name)
        return found.state if found else None

    # -- decisions --------------------------------------------------------------------------

    def apply(self, actions: Sequence[Action] = (), reason: str = "a reason", **fields: Any) -> int:
        given = {"environment": ENV, "state": EnvironmentState.ACTIVE, **fields}
        token = given.pop("token", TOKEN)
        decided = Decision(actions=tuple(actions), reason=reason, **given)
        return self.run(self.scaling.apply(token, decided))

    def order(self, name: str = "r1", host: str = HOST) -> int:
        start = Action(kind=ActionKind.START, replica=name, host=host, version="v1")
        return self.apply([start])

    def drain(
        self, name: str, reason: DrainReason = DrainReason.SCALE_DOWN, *, force: bool = False
    ) -> int:
        action = Action(kind=ActionKind.DRAIN, replica=name, host=HOST, reason=reason, force=force)
        return self.apply([action])

    def undrain(self, name: str) -> int:
        return self.apply([Action(kind=ActionKind.UNDRAIN, replica=name, host=HOST)])

    # -- replicas ---------------------------------------------------------------------------

    def register(self, name: str = "r1", pid: int = 7) -> bool:
        details = {"hostname": HOST, "python_version": "3.11.2", "version": "3.0"}
        return self.run(self.fleet.register(ENV, name, pid, details))

    def start(self, name: str = "r1") -> None:
        """Order a replica, and let it become ready."""
        assert self.order(name) == 1
        assert self.register(name)
        assert self.run(self.fleet.ready(ENV, name))

    def hold(self, name: str, *jobs: str) -> None:
        """Let a replica hold jobs."""
        members = [f"{job}:execution-of-{job}" for job in jobs]
        self.raw.sadd(self.keys.worker_executions(name), *members)
        self.raw.zadd(self.keys.registry("wip", ENV), dict.fromkeys(members, 1.0))

    def listen(self, *channels: str) -> redis.client.PubSub:
        """Subscribe; `heard` tells what came."""
        pubsub: redis.client.PubSub = self.raw.pubsub(  # type: ignore[no-untyped-call]
            ignore_subscribe_messages=True
        )
        pubsub.subscribe(*channels)
        for _ in channels:
            pubsub.get_message(timeout=1)
        return pubsub


def heard(pubsub: redis.client.PubSub) -> list[str]:
    """Return what was published before this call."""
    messages = iter(lambda: pubsub.get_message(timeout=0.05), None)
    return [message["data"].decode() for message in messages]
