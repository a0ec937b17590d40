"""Our enqueue beside rq's `enqueue_many`: the same keys, the same fields, the same values."""

import contextlib
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from rq import Callback, Queue
from rq.job import Retry

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from reuse_queue.ends import NamedCallback, When
from reuse_queue.job import NewJob, Priority, Terms
from reuse_queue.serializer import SerializerName, serializer

ENV = "app"
CALL = ("app.classify", ("x",), {"n": 1})

# What differs, and why.
CLOCKS = {"created_at", "enqueued_at"}
"""Ours are the server's clock, rq's the client's."""
OURS = {"reuse_once"}
"""rq knows no job that may run only once; it ignores the field."""
PRIORITY = {"enqueue_at_front"}
"""rq's at_front is forgotten once the job is pushed; a priority lasts."""

DEFAULTS = {"timeout": -1, "result_ttl": 500, "failure_ttl": 31536000}
"""What a new job of ours says, in rq's options."""

JOBS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": (
        DEFAULTS,
        {},
    ),
    "timed": (
        {"timeout": 30, "result_ttl": 0, "failure_ttl": -1},
        {"timeout": timedelta(seconds=30), "result_ttl": timedelta(0), "failure_ttl": None},
    ),
    "retried": (
        {"timeout": 30, "result_ttl": -1, "failure_ttl": 60, "retry": Retry(2, [1, 5])},
        {
            "timeout": timedelta(seconds=30),
            "result_ttl": None,
            "failure_ttl": timedelta(seconds=60),
            "retries": 2,
            "retry_delays": (timedelta(seconds=1), timedelta(seconds=5)),
        },
    ),
    "urgent": (
        DEFAULTS | {"retry": Retry(1, enqueue_at_front=True), "at_front": True},
        {"priority": Priority.HIGH, "retries": 1},
    ),
    "called back": (
        DEFAULTS
        | {
            "on_success": Callback("app.note", timeout=30),
            "on_failure": Callback("app.mourn", timeout=-1),
            "on_stopped": Callback("app.rest"),
        },
        {
            "callbacks": {
                When.SUCCESS: NamedCallback(name="app.note", timeout=timedelta(seconds=30)),
                When.FAILURE: NamedCallback(name="app.mourn", timeout=None),
                When.STOPPED: NamedCallback(name="app.rest"),
            }
        },
    ),
    "once": (
        DEFAULTS,
        {"redeliver": False},
    ),
}


def content(raw: Any) -> dict[str, Any]:
    """Return everything that is in Redis."""
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"hash": raw.hgetall,
        b"list": lambda key: raw.lrange(key, 0, -1),
        b"set": raw.smembers,
        b"zset": lambda key: raw.zrange(key, 0, -1, withscores=True),
    }
    return {key.decode(): (read[raw.type(key)](key), raw.ttl(key)) for key in sorted(raw.keys("*"))}


def ours(connection: Connection, name: SerializerName, options: dict[str, Any]) -> None:
    data = serializer(name).pack(*CALL)
    job = NewJob(id="j1", data=data, terms=Terms(description="app.classify('x', n=1)", **options))
    connection.run(JobQueue(connection.keys).enqueue(ENV, [job]))


def theirs(raw: redis.Redis, name: SerializerName, options: dict[str, Any]) -> None:
    queue = Queue(ENV, connection=raw, serializer=name)
    function, args, kwargs = CALL
    queue.enqueue_many([Queue.prepare_data(function, args, kwargs, job_id="j1", **options)])


def fields(found: dict[str, Any]) -> dict[bytes, bytes]:
    """Return the job's fields; rq compresses all data, ours only where that saves."""
    mapping: dict[bytes, bytes] = found.pop("rq:job:j1")[0]
    with contextlib.suppress(zlib.error):
        mapping[b"data"] = zlib.decompress(mapping[b"data"])
    return mapping


@pytest.mark.parametrize("name", ["json", "pickle"])
@pytest.mark.parametrize("kind", JOBS)
def test_a_job_is_written_as_rq_writes_it(
    connection: Connection, raw: redis.Redis, name: SerializerName, kind: str
) -> None:
    rq_options, our_options = JOBS[kind]
    theirs(raw, name, rq_options)
    expected = content(raw)
    raw.flushall()

    ours(connection, name, our_options)
    found = content(raw)

    assert found["rq:job:j1"][1] == expected["rq:job:j1"][1] == -1
    written, meant = fields(found), fields(expected)
    assert found == expected
    differ = {key.decode() for key in written | meant if written.get(key) != meant.get(key)}
    named = CLOCKS | (OURS if kind == "once" else set()) | (PRIORITY if kind == "urgent" else set())
    assert differ <= named
    assert len(written[b"created_at"]) == len(meant[b"created_at"])


def test_a_delayed_job_is_written_as_rqs_enqueue_in_writes_it(
    connection: Connection, raw: redis.Redis
) -> None:
    function, args, kwargs = CALL
    Queue(ENV, connection=raw, serializer="json").enqueue_in(
        timedelta(hours=1),
        function,
        args=args,
        kwargs=kwargs,
        job_id="j1",
        job_timeout=-1,
        result_ttl=500,
        failure_ttl=31536000,
    )
    expected = content(raw)
    raw.flushall()

    ours(connection, "json", {"delay": timedelta(hours=1)})
    found = content(raw)

    written, meant = fields(found), fields(expected)
    assert found.keys() == expected.keys()
    ((member, our_score),) = found["rq:scheduled:app"][0]
    ((_, their_score),) = expected["rq:scheduled:app"][0]
    assert member == b"j1"
    assert abs(our_score - their_score) < 5
    differ = {key.decode() for key in written | meant if written.get(key) != meant.get(key)}
    assert differ <= CLOCKS
    assert b"enqueued_at" not in written
