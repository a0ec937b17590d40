"""A stock job that our leases run leaves what rq's own worker leaves: keys, fields and TTLs."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import redis
from rq import Callback, Queue, Repeat, Retry, SimpleWorker
from rq.group import Group
from rq.job import Job

from reuse_queue.broker.connection import Connection
from reuse_queue.job import ClaimedJob, Outcome
from support import rq_tasks
from support.remains import everything
from support.site import ENV, Site, failed, finished

KEPT_A_YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Case:
    """One stock job, and what we leave otherwise than rq does: path → (rq's, ours, why)."""

    function: Callable[..., object] = rq_tasks.double
    args: tuple[int, ...] = (21,)
    options: dict[str, Any] = field(default_factory=dict)
    differs: dict[str, tuple[object, object, str]] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        return self.function is rq_tasks.broken


def broken(differs: dict[str, tuple[object, object, str]] | None = None, **options: Any) -> Case:
    return Case(rq_tasks.broken, (), options, differs or {})


REPEATED: dict[str, tuple[object, object, str]] = {
    "rq:job:job result": ("42", None, "rq's old field, beside the same value in the results")
}
CASES = {
    "success": Case(),
    "success without a value": Case(rq_tasks.nothing, ()),
    "result kept for ever": Case(options={"result_ttl": -1}),
    "result not kept": Case(options={"result_ttl": 0}),
    "result kept for a minute": Case(options={"result_ttl": 60}),
    "with meta, description and ttl": Case(
        options={"meta": {"a": 1}, "description": "words", "ttl": 90, "job_timeout": 33}
    ),
    "with callbacks": Case(options={"on_success": Callback(rq_tasks.callback)}),
    "repeated at once": Case(options={"repeat": Repeat(times=2, interval=0)}, differs=REPEATED),
    "repeated later": Case(
        options={"repeat": Repeat(times=3, interval=[30, 60])}, differs=REPEATED
    ),
    "failure": broken(
        differs={
            "rq:results:job ttl": (
                "none",
                KEPT_A_YEAR,
                "rq lets the results of a failed job outlive it for ever",
            )
        },
    ),
    "failure kept for a minute": broken(failure_ttl=60),
    "failure kept for ever": broken(failure_ttl=-1),
    "failure not kept": broken(
        {
            "rq:failed:app": (
                ("zset", {"job": "now"}),
                None,
                "rq leaves the id of a deleted job in the registry until its next cleanup",
            ),
            "rq:failed:app ttl": ("none", None, "the same"),
        },
        failure_ttl=0,
    ),
    "retry at once": broken(retry=Retry(max=2)),
    "retry at once, at the front": broken(retry=Retry(max=2, enqueue_at_front=True)),
    "retry later": broken(retry=Retry(max=3, interval=[30, 60])),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_our_leases_leave_what_rqs_worker_leaves(
    raw: redis.Redis, connection: Connection, case: Case
) -> None:
    enqueue(raw, case)
    SimpleWorker([ENV], connection=raw, serializer="json", name="r1").work(burst=True, max_jobs=1)
    theirs = dict(everything(raw))

    raw.flushall()
    site = Site(connection, raw)
    site.replica("r1")
    queue = enqueue(raw, case)
    (job,) = site.claim()
    site.finish(run(job, case, queue))
    ours = dict(everything(raw))

    for path, (their, our, _) in case.differs.items():
        assert theirs.pop(path, None) == their, path
        assert ours.pop(path, None) == our, path
    assert ours == theirs


def test_a_stock_job_in_a_group_leaves_it_when_its_result_is_not_kept(
    raw: redis.Redis, connection: Connection
) -> None:
    site = Site(connection, raw)
    site.replica("r1")
    group = Group.create(raw, name="g")
    queue = Queue(ENV, connection=raw, serializer="json")
    group.enqueue_many(
        queue,
        [Queue.prepare_data(rq_tasks.double, (n,), result_ttl=n, job_id=f"j{n}") for n in (0, 9)],
    )

    site.finish(*[finished(job) for job in site.claim()])

    assert raw.smembers("rq:group:g") == {b"j9"}


def test_while_a_job_runs_rq_sees_its_execution(raw: redis.Redis, connection: Connection) -> None:
    site = Site(connection, raw)
    site.replica("r1")
    Queue(ENV, connection=raw, serializer="json").enqueue(rq_tasks.double, 1, job_id="job")

    (held,) = site.claim()

    job = Job.fetch("job", connection=raw, serializer="json")
    assert (job.get_status(), job.worker_name) == ("started", "r1")
    (execution,) = job.get_executions()
    assert (execution.id, execution.worker_name) == (held.execution, "r1")
    assert abs(execution.created_at - job.started_at) < timedelta(seconds=0.001)


def enqueue(raw: redis.Redis, case: Case) -> Queue:
    queue = Queue(ENV, connection=raw, serializer="json")
    queue.enqueue(case.function, *case.args, job_id="job", **case.options)
    return queue


def run(job: ClaimedJob, case: Case, queue: Queue) -> Outcome:
    """Do what a replica does between claim and finish."""
    record = Job.fetch(job.id, connection=queue.connection, serializer=queue.serializer)
    try:
        value = record.func(*record.args, **record.kwargs)
    except ValueError:
        return failed(job, traceback.format_exc())
    return finished(job, None if value is None else record.serializer.dumps(value))
