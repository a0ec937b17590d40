"""The application's side: enqueues jobs of all kinds, and notes each that was accepted."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from chaos import app, families, hostile
from chaos.environments import FOREVER_S
from reuse_queue import JobHandle
from reuse_queue.errors import RedisRefused, RedisUnavailable

Calls: TypeAlias = Callable[[random.Random], tuple[Any, list[tuple[Any, ...]]]]
_MOST_AT_ONCE = 12


def _many(rng: random.Random, call: Callable[[], tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [call() for _ in range(rng.randint(1, _MOST_AT_ONCE))]


# How often, relative to the others; what to enqueue.
_MENU: dict[str, tuple[float, Calls]] = {
    "quick": (12, lambda rng: (app.quick, _many(rng, lambda: ("quick",)))),
    "urgent": (
        2,
        lambda rng: (app.quick.override(priority="high"), _many(rng, lambda: ("urgent",))),
    ),
    "burst": (0.2, lambda rng: (app.quick, [("burst",)] * rng.randint(50, 500))),
    "slow": (6, lambda rng: (app.slow, _many(rng, lambda: ("slow", rng.uniform(0.2, 4))))),
    "large": (2, lambda rng: (app.large, [("x" * app.LARGE,)])),
    "scheduled": (
        3,
        lambda rng: (app.quick.override(delay=rng.uniform(0.5, 6)), [("scheduled",)] * 3),
    ),
    "flaky": (4, lambda rng: (app.flaky, [()] * 2)),
    "failing": (2, lambda rng: (app.failing, [()] * 2)),
    "once": (4, lambda rng: (app.once, _many(rng, lambda: (rng.uniform(0, 2),)))),
    "unwanted": (3, lambda rng: (app.slow, [("unwanted", FOREVER_S)] * 2)),
    "sync": (6, lambda rng: (app.sync, _many(rng, lambda: (rng.uniform(0, 0.2),)))),
    "cpu": (3, lambda rng: (app.cpu, [(rng.uniform(0.01, 0.1),)] * 2)),
    "parent": (3, lambda rng: (families.parent, [(rng.randint(1, 5),)] * 2)),
    "unusual error": (
        2,
        lambda rng: (
            rng.choice((hostile.leave, hostile.leave_plainly)),
            [(rng.choice(hostile.UNUSUAL),)],
        ),
    ),
    "leak": (0.5, lambda rng: (hostile.leak, [()])),
    "fork": (0.5, lambda rng: (hostile.fork, [()])),
    "block": (0.2, lambda rng: (hostile.block, [("block", hostile.LONGER_THAN_A_LEASE_S)])),
    "hog": (0.2, lambda rng: (hostile.block, [("hog", hostile.LONGER_THAN_A_LEASE_S)])),
    "spin": (0.1, lambda rng: (hostile.block, [("spin", hostile.LONGER_THAN_A_LEASE_S)])),
    "tree": (
        1.5,
        lambda rng: (
            rng.choice((families.tree, families.plain_tree)),
            [("tree", rng.randint(1, 3), rng.randint(1, 2))],
        ),
    ),
    "late": (0.5, lambda rng: (hostile.late, [()])),
    "stuck": (0.3, lambda rng: (hostile.stuck, [()])),
    "segfault": (0.5, lambda rng: (hostile.segfault, [()])),
    "poison": (0.2, lambda rng: (hostile.poison, [()])),
    "stubborn": (0.3, lambda rng: (hostile.stubborn, [()])),
    "once beside": (
        1,
        lambda rng: (app.once_beside, _many(rng, lambda: (rng.uniform(0.2, 2),))),
    ),
    "beside": (2, lambda rng: (app.beside, _many(rng, lambda: (rng.uniform(0.2, 2),)))),
}


class Workload:
    """Enqueues on a thread of its own, from `start` to `stop`.

    Args:
        seed: what is enqueued, in which order.
        rate: enqueues a second, each of one job or a few.
    """

    def __init__(self, seed: int, rate: float) -> None:
        self.accepted: list[JobHandle[Any]] = []
        self.problem: BaseException | None = None
        self._rng = random.Random(seed)
        self._rate = rate
        self._stopped = threading.Event()
        self._cancels: list[tuple[float, int, JobHandle[Any]]] = []
        self._thread = threading.Thread(target=self._run, name="workload", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Come to an end; every cancel that is due has been asked for on return."""
        self._stopped.set()
        self._thread.join()

    # ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            # One of every kind at least, also in a short run.
            kinds = list(_MENU)
            self._rng.shuffle(kinds)
            for kind in kinds:
                self._enqueue(kind)
            while not self._stopped.wait(self._rng.expovariate(self._rate)):
                self._enqueue(self._drawn())
                self._cancel(time.monotonic())
            self._cancel(float("inf"))
        except BaseException as error:  # noqa: BLE001  # for the main thread
            self.problem = error

    def _drawn(self) -> str:
        weights = [weight for weight, _ in _MENU.values()]
        return self._rng.choices(list(_MENU), weights)[0]

    def _enqueue(self, kind: str) -> None:
        task, calls = _MENU[kind][1](self._rng)
        try:
            handles = task.enqueue_many(calls)
        except RedisUnavailable:
            app.ledger.unsure(kind, len(calls))
            return
        except RedisRefused:  # it is full, and has written none
            return
        for handle in handles:
            app.ledger.accepted(handle.id, kind)
            self.accepted.append(handle)
            if kind == "unwanted":
                due = time.monotonic() + self._rng.uniform(0, 2)
                heapq.heappush(self._cancels, (due, len(self.accepted), handle))

    def _cancel(self, now: float) -> None:
        while self._cancels and self._cancels[0][0] <= now:
            handle = heapq.heappop(self._cancels)[2]
            app.ledger.canceled(handle.id)
            handle.cancel()
