"""One tree of jobs on a fleet, with a mishap in the middle of it, and a verdict."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import psutil
from hypothesis import strategies as st

from reuse_queue import JobHandle
from reuse_queue.errors import UnknownEnvironment
from reuse_queue.facts import ReplicaState
from support.call_graphs import Node, call_graphs
from support.fleet_processes import ENV, FleetProcesses
from trees import notes
from trees.application import HOWS, KINDS, TASKS

ENVS = (ENV, "plain")
_LEFT_OVER = (
    *("rq:wip:*", "rq:execution*", "rq:queue:*", "rq:scheduled:*", "rq:deferred:*"),
    *(f"reuse:{{*}}:{own}" for own in ("urgent", "waiting:*", "cancels:*")),
)


@dataclass(frozen=True)
class Mishap:
    """What happens to the replica that begins a job, when it is the n-th that begins."""

    what: str
    """kill, drain or stop (for longer than a lease)."""
    at: int


def trees(most: int = 24) -> st.SearchStrategy[Node]:
    """Return a strategy for trees of jobs."""
    return call_graphs(KINDS, HOWS, most)


def mishaps(*whats: str) -> st.SearchStrategy[list[Mishap]]:
    """Return a strategy for what goes wrong; a job survives two losses."""
    return st.lists(st.builds(Mishap, st.sampled_from(whats), st.integers(1, 15)), max_size=2)


class Proof:
    """A fleet that runs tree after tree.

    Args:
        fleet: not started yet.
        replicas: how many each environment has.
        concurrency: how many slots each of the first one's has.
    """

    def __init__(self, fleet: FleetProcesses, *, replicas: int, concurrency: int) -> None:
        self._fleet = fleet
        self._numbers = count()
        self._app = fleet.write(replicas=replicas, concurrency=concurrency, tasks=TASKS)
        self._app.plain.bind(fleet.settings.redis_url)
        self._ledger = fleet.folder / "ledger"
        self._ledger.touch()
        _, self._agent = fleet.serve("--max-replicas", "9", "whole_app:plain")
        fleet.until(lambda: self._serves(replicas), "the replicas of both environments")

    def check(self, tree: Node, troubles: Sequence[Mishap] = ()) -> None:
        """Run a tree; fail where a job is lost, runs again without need, or leaves something."""
        name = str(next(self._numbers))
        known = notes.paths(tree, name)
        root: JobHandle[int] = getattr(self._app, tree.task).enqueue(name, tree.words())
        for trouble in sorted(troubles, key=lambda each: each.at):
            self._meet(trouble, name, root)
        self._fleet.until(lambda: root.status().ended, f"the end of {tree}", within=60)
        assert root.result(timeout=0) == tree.value
        self._fleet.until(lambda: known.keys() <= self._notes(name).ends, "all ends", within=60)
        self._fleet.until(self._rests, "a fleet at rest", within=60)
        found = self._notes(name)
        assert notes.violations(found, known) == [], self._fleet.logs()
        for path, runs in found.runs.items():
            self._check_record(runs[-1].job_id, fails=known[path].fails)

    def close(self) -> None:
        """End the fleet; nothing is left of it."""
        self._agent.terminate()
        assert self._fleet.ended(self._agent, within=60) == 0
        self._fleet.nothing_is_held()

    @property
    def struck(self) -> int:
        """How many mishaps there were."""
        return self._ledger.read_text().count("struck")

    # ---------------------------------------------------------------------------------------

    def _meet(self, trouble: Mishap, name: str, root: JobHandle[int]) -> None:
        """Let it happen, or not if the tree ends before."""
        while len(begins := self._notes(name).begins) < trouble.at:
            if root.status().ended:
                return
            time.sleep(0.002)
        pid = begins[-1].pid
        with self._ledger.open("a") as ledger:
            ledger.write(f"struck {pid}\n")
        if trouble.what == "kill":
            _signal(pid, signal.SIGKILL)
        elif trouble.what == "drain":
            found = [each for env in ENVS for each in self._fleet.snapshot(env).replicas]
            self._fleet.drain(*(each for each in found if each.pid == pid))
        else:
            _signal(pid, signal.SIGSTOP)
            time.sleep(self._fleet.settings.lease.total_seconds() * 1.5)
            _signal(pid, signal.SIGCONT)

    def _notes(self, name: str) -> notes.Notes:
        text = self._ledger.read_text()
        return notes.read(text[: text.rfind("\n") + 1].splitlines(), name)

    def _serves(self, replicas: int) -> bool:
        try:
            found = [each for env in ENVS for each in self._fleet.snapshot(env).replicas]
        except UnknownEnvironment:
            return False  # the agent has just started
        return [each.state for each in found] == [ReplicaState.READY] * replicas * len(ENVS)

    def _rests(self) -> bool:
        seen = [self._fleet.snapshot(env) for env in ENVS]
        return not any(each.demand or each.waiting for each in seen)

    def _check_record(self, job_id: str, *, fails: bool) -> None:
        raw: Any = self._fleet.raw
        status, awaited = raw.hmget(f"rq:job:{job_id}", "status", "reuse_awaited")
        assert status == (b"failed" if fails else b"finished")
        assert awaited is None
        assert raw.xlen(f"rq:results:{job_id}") == 1
        assert [key for pattern in _LEFT_OVER for key in raw.keys(pattern)] == []


def _signal(pid: int, number: int) -> None:
    if psutil.pid_exists(pid):
        os.kill(pid, number)
