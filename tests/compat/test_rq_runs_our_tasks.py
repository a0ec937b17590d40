"""An rq worker runs a task of ours, and our handle reads what it left."""

import pytest
import redis
from rq import Queue, SimpleWorker
from rq.job import Job

from reuse_queue import TaskFailed
from reuse_queue.broker.connection import Connection
from support import sample
from support.sample import Label, add, classify


@pytest.fixture(autouse=True)
def bound(connection: Connection):
    for each in (sample.env, sample.plain):
        each.bind(connection)
    yield
    for each in (sample.env, sample.plain):
        each._redis = None


def work(name: str, raw: redis.Redis) -> None:
    queue = Queue(name, connection=raw, serializer="json")
    SimpleWorker([queue], connection=raw, serializer="json").work(burst=True, logging_level="ERROR")


def test_a_sync_task_runs_and_its_result_is_read(raw: redis.Redis):
    handle = add.enqueue(1, b=2)
    work("plain", raw)
    assert handle.result(timeout=0) == 3
    assert add.handle(handle.id).result(timeout=0) == 3


def test_a_failure_of_rqs_is_a_failure_of_ours(raw: redis.Redis):
    handle = sample.process.enqueue("raise")
    work("plain", raw)
    with pytest.raises(TaskFailed, match="ValueError: no"):
        handle.result(timeout=0)


def test_rq_fetches_our_job_and_its_arguments(raw: redis.Redis):
    handle = classify.enqueue("a.png", top=2)
    job = Job.fetch(handle.id, connection=raw, serializer="json")
    assert (job.func_name, job.args, job.kwargs) == (classify.name, ["a.png"], {"top": 2})
    assert (job.origin, job.timeout, job.retries_left) == ("sample", 30, 2)
    assert job.func is classify
    assert isinstance(sample.env.lookup(job.func_name).signature.returned({"name": "a"}), Label)


def test_pickled_calls_are_read_by_rqs_default(connection: Connection, raw: redis.Redis):
    sample.pickled.bind(connection)
    handle = sample.keep.enqueue({(1, 2): {3}})
    sample.pickled._redis = None
    assert Job.fetch(handle.id, connection=raw).args == ({(1, 2): {3}},)
