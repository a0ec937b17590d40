"""What an operator of reuse_queue does in a benchmark, and what one sees of its fleet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from benchmarks.peers.reuse import env, noop
from reuse_queue.broker.connection import Connection, Step, command
from reuse_queue.broker.scaling import Scaling
from reuse_queue.facts import EnvironmentState, Replica
from reuse_queue.settings import Settings

_PATIENCE_S = 30.0


class Operator:
    """Operates the environment of the benchmarks in one Redis."""

    def __init__(self, url: str) -> None:
        settings = replace(Settings.from_env(), redis_url=url)
        self._connection = Connection(settings)
        self._scaling = Scaling(self._connection.keys, settings)
        self._env = env.name
        env.bind(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def replicas(self) -> list[Replica]:
        """Return those that are there, or on their way."""
        snapshot = self._connection.run(self._scaling.snapshot(self._env, poke=False))
        return list(snapshot.replicas)

    def scale(self, count: int) -> None:
        """Have exactly so many replicas, ready."""
        self._connection.run(self._scaling.override(self._env, (count, count)))
        _until(lambda: sum(each.ready_at is not None for each in self.replicas()) == count)

    def empty(self) -> None:
        """Let all replicas go, and none start before there is a job again."""
        self._connection.run(self._scaling.drain_environment(self._env, drained=True))
        _until(lambda: not self.replicas())
        self._connection.run(self._scaling.drain_environment(self._env, drained=False))
        time.sleep(0.3)  # the scaler has seen it

    def doze(self) -> None:
        """Make the environment dormant, as the scaler does after its idle_ttl (30 s or more)."""
        self.empty()
        self._connection.run(self._put_to_sleep())

    def enqueue(self) -> float:
        """Enqueue a no-op; return the moment before."""
        began = time.monotonic()
        noop.enqueue()
        return began

    def ordered_at(self) -> float:
        """Return when the one replica was ordered, by CLOCK_MONOTONIC."""
        [replica] = self.replicas()
        return replica.ordered_at.timestamp() - time.time() + time.monotonic()

    def _put_to_sleep(self) -> Step[None]:
        record = self._connection.keys.environment(self._env)
        yield command("HSET", record, "state", EnvironmentState.DORMANT.value)


class Attendance(threading.Thread):
    """Counts replicas, from its start to `ended`: how many there were for how long."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._operator = Operator(url)
        self._done = threading.Event()
        self.replica_s = 0.0

    def run(self) -> None:
        """Look every 20 ms."""
        last = time.monotonic()
        with self._operator as operator:
            while not self._done.wait(0.02):
                now = time.monotonic()
                self.replica_s += len(operator.replicas()) * (now - last)
                last = now

    def ended(self) -> float:
        """Return the seconds that replicas were there for, summed over them."""
        self._done.set()
        self.join()
        return self.replica_s


def _until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > ends:
            raise RuntimeError("the fleet did not become what it was told to be")
        time.sleep(0.01)
