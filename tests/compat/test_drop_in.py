"""The same jobs under rq's worker and under ours leave the same keys, fields and TTLs."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import redis
from rq import Callback, Queue, RateLimit, Repeat, Retry, SimpleWorker, Worker
from rq.command import send_command
from rq.group import Group
from rq.job import Dependency, Job

from reuse_worker.rq_worker import ReuseWorker
from support import rq_jobs
from support.remains import everything
from support.server import RedisServer

pytestmark = [
    pytest.mark.timeout(60),
    # rq closes its subscription under the thread that reads it; its own tests ignore that as well.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

QUEUE = "app"
YEAR_S = 365 * 24 * 3600
# Not compared: where and when a worker ran, locks of rq's maintenance, our own keys.
IGNORED = re.compile(r"rq:worker:w$|rq:clean_|rq:scheduler|reuse:")
NO_TTL = "rq lets the results of a failed or retried job outlive it for ever"
OLD_FIELD = "rq's old field, beside the same value in the results"
NEVER_CLEANED = "rq's pop leaves ids of jobs that are gone in its intermediate list"
BEFORE = "rq's parent process writes what the job's record was before it ran"
STALE = "rq leaves the id of a deleted job in the registry until its next cleanup"

Differs = dict[str, tuple[object, object, str]]


@dataclass(frozen=True)
class Scenario:
    """Jobs, who runs them, and each path where we leave something else: (rq's, ours, why)."""

    enqueue: Callable[[Queue], object]
    options: dict[str, Any] = field(default_factory=dict)
    worker: dict[str, Any] = field(default_factory=dict)
    rqs: type[Any] = SimpleWorker
    queues: tuple[str, ...] = (QUEUE,)
    differs: Differs = field(default_factory=dict)


def kept(*ids: str) -> Differs:
    return {f"rq:results:{each} ttl": ("none", YEAR_S, NO_TTL) for each in ids}


def put(function: object, *args: object, **options: Any) -> Callable[[Queue], object]:
    """One job, named `a`."""
    return lambda queue: queue.enqueue(function, *args, **{"job_id": "a", **options})


def chain(function: object, **dependency: Any) -> Callable[[Queue], object]:
    """`a` runs the function, `b` waits for it, `c` for `b`; `d` waits in another queue."""

    def enqueue(queue: Queue) -> None:
        other = Queue("other", connection=queue.connection)
        first = queue.enqueue(function, "a", job_id="a")
        waits = Dependency([first], **dependency)
        second = queue.enqueue(rq_jobs.note, "b", job_id="b", depends_on=waits)
        queue.enqueue(rq_jobs.note, "c", job_id="c", depends_on=second)
        other.enqueue(rq_jobs.note, "d", job_id="d", depends_on=waits)

    return enqueue


def several(queue: Queue) -> None:
    for name in ("low", QUEUE, "high"):
        for n in range(3):
            Queue(name, connection=queue.connection).enqueue(
                rq_jobs.note, f"{name}{n}", job_id=f"{name}{n}"
            )


def grouped(queue: Queue) -> None:
    Group.create(queue.connection, name="g").enqueue_many(
        queue,
        [
            Queue.prepare_data(rq_jobs.note, (word,), job_id=word, result_ttl=ttl)
            for word, ttl in (("a", 0), ("b", 9))
        ],
    )


def limited(queue: Queue) -> None:
    for word in ("a", "b", "c"):
        queue.enqueue(
            rq_jobs.broken if word == "b" else rq_jobs.note,
            word,
            job_id=word,
            rate_limit=RateLimit(key="api", concurrency=1),
        )


def limited_and_repeated(queue: Queue) -> None:
    """`a` keeps its slot while it is to run again, and `b` gets it only then."""
    limit = RateLimit(key="api", concurrency=1)
    queue.enqueue(
        rq_jobs.note, "a", job_id="a", rate_limit=limit, result_ttl=0, repeat=Repeat(times=1)
    )
    queue.enqueue(rq_jobs.note, "b", job_id="b", rate_limit=limit)


def canceled_while_it_runs(**how: bool) -> Callable[[Queue], None]:
    def enqueue(queue: Queue) -> None:
        queue.enqueue(rq_jobs.cancel_itself, args=("a",), kwargs=how, job_id="a")
        queue.enqueue(rq_jobs.note, "b", job_id="b", depends_on="a")

    return enqueue


def popped_by_a_worker_that_died(queue: Queue) -> None:
    """`a` lies in rq's intermediate list, and has for longer than rq's maintenance allows."""
    queue.enqueue(rq_jobs.note, "a", job_id="a")
    Queue.dequeue_any([queue], None, connection=queue.connection)
    found = queue.intermediate_queue
    queue.connection.set(found.get_first_seen_key("a"), time.time() - 120, ex=10)


def ready_but_not_enqueued(queue: Queue) -> None:
    """A worker of rq died between readying `a` and pushing it."""
    job = Job.create(
        rq_jobs.note,
        ("a",),
        id="a",
        origin=QUEUE,
        status="ready_to_enqueue",
        connection=queue.connection,
    )
    job.save()
    queue.connection.zadd("rq:ready:app", {"a": time.time() - 3600})


def gone(queue: Queue) -> None:
    queue.enqueue(rq_jobs.note, "a", job_id="a").cancel()
    queue.enqueue(rq_jobs.note, "b", job_id="b").delete(remove_from_queue=False)
    queue.enqueue(rq_jobs.note, "c", job_id="c", ttl=100)
    queue.connection.delete("rq:job:c")
    queue.enqueue(rq_jobs.note, "d", job_id="d")


def unsaved(queue: Queue) -> None:
    """A job that was pushed without rq's enqueue, so without a status."""
    Job.create(rq_jobs.note, ("a",), id="a", origin=QUEUE, connection=queue.connection).save()
    queue.push_job_id("a")


def at_front(queue: Queue) -> None:
    queue.enqueue(rq_jobs.note, "a", job_id="a")
    queue.enqueue(rq_jobs.note, "b", job_id="b", at_front=True)
    queue.enqueue(rq_jobs.note, "c", job_id="c", unique=True)


def stopped_soon(queue: Queue) -> threading.Thread:
    """A job that runs for long, and a command to stop it as soon as it does."""
    queue.enqueue(rq_jobs.slow, job_id="a", on_stopped=Callback(rq_jobs.on_stopped))
    dependent = queue.enqueue(rq_jobs.note, "b", job_id="b", depends_on="a")
    assert dependent.get_status() == "deferred"
    client = queue.connection

    def stop() -> None:
        while client.llen(rq_jobs.RUNS) == 0:
            threading.Event().wait(0.02)
        # Again, since a worker hears nothing while it subscribes.
        while client.hget("rq:job:a", "status") == b"started":
            send_command(client, "w", "stop-job", job_id="a")
            threading.Event().wait(0.3)

    thread = threading.Thread(target=stop)
    thread.start()
    return thread


def callbacks(**options: Any) -> dict[str, Any]:
    return {
        "on_success": Callback(rq_jobs.on_success),
        "on_failure": Callback(rq_jobs.on_failure),
        **options,
    }


ONCE = {"max_jobs": 1}
ECHOED: Differs = {"rq:job:a result": (..., None, OLD_FIELD)}
SCENARIOS = {
    "success": Scenario(put(rq_jobs.note, "a")),
    "no value": Scenario(put(rq_jobs.same, None)),
    "text of all kinds": Scenario(put(rq_jobs.same, "你好 \x00 🎉", description="世界")),
    "bytes": Scenario(put(rq_jobs.same, bytes(range(256)))),
    "a value that cannot be pickled": Scenario(put(rq_jobs.unserialisable)),
    "JSON": Scenario(put(rq_jobs.same, {"a": [1]}), worker={"serializer": "json"}),
    "JSON that cannot be": Scenario(put(rq_jobs.unserialisable), worker={"serializer": "json"}),
    "a coroutine": Scenario(put(rq_jobs.patient, "a")),
    "result kept for ever": Scenario(put(rq_jobs.note, "a", result_ttl=-1)),
    "result not kept": Scenario(put(rq_jobs.note, "a", result_ttl=0)),
    "the worker's own result_ttl": Scenario(
        put(rq_jobs.note, "a"), worker={"default_result_ttl": 77}
    ),
    "meta saved by the job": Scenario(put(rq_jobs.leave_meta, done=3, meta={"todo": 4})),
    "failure": Scenario(put(rq_jobs.broken), differs=kept("a")),
    "failure kept for a minute": Scenario(put(rq_jobs.broken, failure_ttl=60)),
    "failure kept for ever": Scenario(put(rq_jobs.broken, failure_ttl=-1)),
    "failure not kept": Scenario(
        put(rq_jobs.broken, failure_ttl=0),
        differs={
            "rq:failed:app": (("zset", {"a": "now"}), None, STALE),
            "rq:failed:app ttl": ("none", None, STALE),
        },
    ),
    "a function that is not there": Scenario(put("support.rq_jobs.absent"), differs=kept("a")),
    "timeout": Scenario(put(rq_jobs.slow, job_timeout=1), differs=kept("a")),
    "timeout of a coroutine": Scenario(
        put(rq_jobs.slow_coroutine, job_timeout=1), differs=kept("a")
    ),
    "callbacks after success": Scenario(put(rq_jobs.note, "a", **callbacks())),
    "callbacks after failure": Scenario(put(rq_jobs.broken, **callbacks()), differs=kept("a")),
    "a success callback that raises": Scenario(
        put(rq_jobs.note, "a", **callbacks(on_success=Callback(rq_jobs.broken_callback))),
        differs=kept("a"),
    ),
    "a failure callback that raises": Scenario(
        put(rq_jobs.broken, **callbacks(on_failure=Callback(rq_jobs.broken_callback))),
        differs=kept("a"),
    ),
    "a success callback that is a coroutine": Scenario(
        put(rq_jobs.note, "a", **callbacks(on_success=Callback(rq_jobs.async_callback))),
        differs=kept("a"),
    ),
    "an exception handler that saves the job": Scenario(
        put(rq_jobs.broken),
        worker={"exception_handlers": [rq_jobs.saving_handler]},
        differs=kept("a"),
    ),
    "no default exception handler": Scenario(
        put(rq_jobs.broken), worker={"disable_default_exception_handler": True}
    ),
    "retries used up": Scenario(put(rq_jobs.broken, retry=Retry(max=2)), differs=kept("a")),
    "a retry that waits": Scenario(put(rq_jobs.broken, retry=Retry(max=3, interval=[30, 60]))),
    "a returned Retry": Scenario(put(rq_jobs.again, 3), ONCE, differs=kept("a") | ECHOED),
    "a returned Retry that goes first": Scenario(
        put(rq_jobs.again, 3, first=True), ONCE, differs=kept("a") | ECHOED
    ),
    "a returned Retry that waits": Scenario(
        put(rq_jobs.again, 3, [30, 60]), differs=kept("a") | ECHOED
    ),
    "a returned Retry too many": Scenario(put(rq_jobs.again, 2), differs=kept("a") | ECHOED),
    "repeat at once": Scenario(
        put(rq_jobs.note, "a", repeat=Repeat(times=2)),
        differs=ECHOED,
    ),
    "repeat after intervals": Scenario(
        put(rq_jobs.note, "a", repeat=Repeat(times=3, interval=[30, 60])), differs=ECHOED
    ),
    "dependents": Scenario(chain(rq_jobs.note)),
    "dependents of a failed job": Scenario(chain(rq_jobs.broken), differs=kept("a")),
    "dependents that allow failure": Scenario(
        chain(rq_jobs.broken, allow_failure=True), differs=kept("a")
    ),
    "dependents that go first": Scenario(chain(rq_jobs.note, enqueue_at_front=True)),
    "a group": Scenario(grouped),
    "front and unique": Scenario(at_front),
    "canceled, deleted and expired": Scenario(
        gone,
        differs={
            "rq:queue:app:intermediate": (("list", [b"b", b"c"]), None, NEVER_CLEANED),
            "rq:queue:app:intermediate ttl": ("none", None, NEVER_CLEANED),
        },
    ),
    "pushed by its id alone": Scenario(unsaved),
    "a job that enqueues another": Scenario(put(rq_jobs.enqueue_another, "b")),
    "scheduled and due": Scenario(
        lambda queue: queue.enqueue_in(timedelta(0), rq_jobs.note, "a", job_id="a"),
        {"with_scheduler": True},
    ),
    "scheduled for later": Scenario(
        lambda queue: queue.enqueue_in(timedelta(hours=1), rq_jobs.note, "a", job_id="a"),
        {"with_scheduler": True},
    ),
    "a rate limit": Scenario(limited, differs=kept("b")),
    "a rate limit on a job that repeats": Scenario(limited_and_repeated, ONCE, differs=ECHOED),
    "a rate limit after repeats": Scenario(limited_and_repeated),
    "canceled while it runs": Scenario(canceled_while_it_runs()),
    "canceled while it fails": Scenario(canceled_while_it_runs(fail=True)),
    "left in rq's intermediate list": Scenario(popped_by_a_worker_that_died),
    "left ready by rq": Scenario(ready_but_not_enqueued),
    "several queues": Scenario(several, queues=("high", QUEUE, "low")),
    "stopped": Scenario(
        stopped_soon,
        rqs=Worker,
        differs=kept("a")
        | {f"rq:job:a {name}": ("", ..., BEFORE) for name in ("worker_name", "last_heartbeat")}
        | {
            "rq:job:a ended_at": ("", "<moment>", BEFORE),
            "rq:results:a": (..., ..., "the same record, in words of our own"),
        },
    ),
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_our_worker_leaves_what_rqs_worker_leaves(
    raw: redis.Redis, redis_server: RedisServer, scenario: Scenario
) -> None:
    # A client for each: rq and redis-py may both give a subscription's connection back to a pool,
    # so that a later worker would share it with somebody.
    with redis_server.client() as client:
        theirs = after(client, scenario, scenario.rqs)
    raw.flushall()
    with redis_server.client() as client:
        ours = after(client, scenario, ReuseWorker)

    for path, (their, our, _) in scenario.differs.items():
        left = theirs.pop(path, None), ours.pop(path, None)
        assert left[0] == their or their is ..., path
        assert left[1] == our or our is ..., path
    assert ours == theirs


def after(client: redis.Redis, scenario: Scenario, kind: type[Any]) -> dict[str, object]:
    queue = Queue(QUEUE, connection=client, serializer=scenario.worker.get("serializer"))
    beside = scenario.enqueue(queue)
    worker = kind(scenario.queues, name="w", connection=client, **scenario.worker)
    worker.work(burst=True, logging_level="CRITICAL", **scenario.options)
    if isinstance(beside, threading.Thread):
        beside.join()
    left = dict(everything(client, IGNORED))
    counts = client.hmget(worker.key, "state", "successful_job_count", "failed_job_count")
    return left | {"the worker": counts, "its ttl": client.ttl(worker.key) > 50}
