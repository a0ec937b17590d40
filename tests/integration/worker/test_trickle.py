"""Which of several idle replicas a job goes to."""

from datetime import timedelta
from typing import Any

import pytest

from integration.worker.conftest import Lab
from reuse_worker import claimer
from reuse_worker.steps import Steps
from support.eventually import eventually


async def touch() -> None:
    """Do nothing."""


async def test_a_trickle_of_jobs_goes_to_the_replica_that_worked_last(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
):
    waits: list[str] = []
    wait = Steps.wait

    async def noted(self: Steps, at_most: timedelta, count: int) -> Any:
        waits.append(self.replica)
        return await wait(self, at_most, count)

    monkeypatch.setattr(Steps, "wait", noted)
    monkeypatch.setattr(claimer, "_FIRST_WAIT", timedelta(seconds=2))
    monkeypatch.setattr(claimer, "_LATER_WAIT", timedelta(seconds=0.05))
    lab.serve(touch)
    async with lab.replica("r1"), lab.replica("r2"):
        served = [await _serve(lab, waits) for _ in range(6)]

    # Which comes first is chance; then it stays with it.
    assert len(set(served[1:])) == 1


async def _serve(lab: Lab, waits: list[str]) -> str:
    """Have one job run, and both replicas wait again; return the one that ran it."""
    job = lab.enqueue(touch)
    served = await eventually(lambda: _worker(lab, job.id))
    other = {"r1": "r2", "r2": "r1"}[served]
    await eventually(lambda: _blocked(lab) == 2)
    waits.clear()
    # The other one has joined the line anew, behind the one that has worked.
    await eventually(lambda: waits.count(other) >= 2 and _blocked(lab) == 2)
    return served


def _worker(lab: Lab, job_id: str) -> str:
    found: list[Any] = lab.raw.hmget(f"rq:job:{job_id}", ["status", "worker_name"])
    return found[1].decode() if found[0] == b"finished" else ""


def _blocked(lab: Lab) -> int:
    clients: Any = lab.raw.info("clients")
    return int(clients["blocked_clients"])
