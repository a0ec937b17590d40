"""Jobs that an older rq has enqueued: recorded as stock rq 2.12.0 wrote them.

tests/support/keyspace.py says how; no older rq has to be installed here.
"""

from typing import Any

import pytest
import rq

from integration.worker.conftest import Lab
from reuse_queue import TaskEnvironment
from reuse_queue.broker.queue import JobQueue
from support import keyspace
from support.eventually import eventually

tries: list[int] = []


async def add(a: int, b: int) -> int:
    return a + b


async def fails_once() -> str:
    tries.append(1)
    if len(tries) == 1:
        raise ValueError("not yet")
    return "the second time"


@pytest.fixture
def older(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A replica's environment on what rq 2.12.0 has left."""
    tries.clear()
    for function in (add, fails_once):
        monkeypatch.setattr(function, "__module__", "recorded_tasks")
    lab.serve(add, fails_once)
    keyspace.load(lab.raw, "rq-2.12.0")
    return lab


async def test_jobs_of_rq_2_12_run_and_rq_3_reads_how_they_ended(older: Lab):
    connection = older.settings
    jobs = {
        each: rq.job.Job.fetch(each, connection=older.raw, serializer="json")
        for each in ("plain", "keywords", "front", "retried", "parent", "child", "scheduled")
    }
    async with older.replica() as replica:
        leases = replica.daemon._steps
        await leases.connection.arun(JobQueue(leases.connection.keys).due(older.env.name))
        await eventually(lambda: all(job.is_finished for job in jobs.values()), within=20)
        unknown = rq.job.Job.fetch("unknown", connection=older.raw, serializer="json")
        await eventually(lambda: unknown.is_failed)
    assert connection.key_prefix == "rq"
    values = {name: job.return_value() for name, job in jobs.items()}
    assert values == {
        "plain": 3,
        "keywords": 7,
        "front": 11,
        "retried": "the second time",
        "parent": 15,
        "child": 19,
        "scheduled": 23,
    }
    meta: Any = jobs["keywords"].get_meta()
    assert meta == {"who": "me"}
    result = unknown.latest_result()
    assert result is not None
    assert "environment lab has no task 'os.getcwd'" in (result.exc_string or "")


async def test_a_pickle_of_rq_2_12_runs_where_pickle_is_opted_in(older: Lab):
    older.env = TaskEnvironment("pickled", serializer="pickle")
    older.env.task(add)
    job = rq.job.Job.fetch("pickled", connection=older.raw)
    async with older.replica():
        await eventually(lambda: job.is_finished)
    assert job.return_value() == 27
