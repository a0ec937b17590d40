"""What the drop-in does while Redis refuses its steps, or an operator holds a queue back."""

import threading
import time
from typing import Any

import pytest
import redis
from rq import Queue, get_current_job
from rq.job import Job

from reuse_worker.batch import Pace
from reuse_worker.rq_worker import ReuseWorker
from reuse_worker.rq_worker.books import Books
from support import rq_jobs
from support.eventually import eventually_sync

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture
def queue(raw: redis.Redis) -> Queue:
    return Queue("app", connection=raw)


def backlog(queue: Queue, count: int, start: int = 0) -> None:
    names = [f"j{n}" for n in range(start, start + count)]
    queue.enqueue_many([Queue.prepare_data(rq_jobs.note, (name,), job_id=name) for name in names])


def work(queue: Queue) -> None:
    worker = ReuseWorker([queue], name="w1", connection=queue.connection)
    worker.work(burst=True, logging_level="CRITICAL")


def ran(raw: redis.Redis) -> list[bytes]:
    return raw.lrange(rq_jobs.RUNS, 0, -1)  # type: ignore[return-value]  # not awaited


def test_what_waits_behind_a_long_job_is_given_back_once_redis_takes_writes(
    queue: Queue, raw: redis.Redis
) -> None:
    backlog(queue, 50)
    queue.enqueue(demote_for_a_while, job_id="long")
    backlog(queue, 50, start=50)

    work(queue)

    assert Job.fetch("long", connection=raw).return_value() == 50
    assert len(ran(raw)) == 100


def demote_for_a_while() -> int:
    with aside() as client:
        client.replicaof("127.0.0.1", "1")
        eventually_sync(lambda: _refused(client), what="giving back is refused")
        client.replicaof("NO", "ONE")
        return given_back(client)


def test_a_refusal_to_take_jobs_back_leaves_none_behind_and_the_next_ones_no_worse_off(
    queue: Queue, raw: redis.Redis
) -> None:
    backlog(queue, 50)
    queue.enqueue(spoil_for_a_while, job_id="spoils")
    backlog(queue, 50, start=50)
    queue.enqueue(count_once_given_back, job_id="long")
    backlog(queue, 50, start=100)

    work(queue)

    assert len(ran(raw)) == 150
    assert Job.fetch("long", connection=raw).return_value() == 50


def spoil_for_a_while() -> None:
    with aside() as client:
        client.set("reuse:{app}:cancels:w1", "no set")
        eventually_sync(lambda: _refused(client), what="giving back is refused")
        client.delete("reuse:{app}:cancels:w1")


def count_once_given_back() -> int:
    with aside() as client:
        return given_back(client)


def given_back(client: redis.Redis) -> int:
    eventually_sync(lambda: client.llen("rq:queue:app") == 50, within=20)
    return int(client.llen("rq:queue:app"))


def aside() -> redis.Redis:
    """Return a client that no other thread of the worker uses."""
    job = get_current_job()
    assert job is not None
    pool = job.connection.connection_pool
    own = redis.ConnectionPool(connection_class=pool.connection_class, **pool.connection_kwargs)
    client = redis.Redis.from_pool(own)
    client.config_resetstat()
    return client


def _refused(client: redis.Redis) -> bool:
    calls: Any = client.info("commandstats")
    return any(
        stats["failed_calls"] or stats["rejected_calls"]
        for name, stats in calls.items()
        if name in {"cmdstat_evalsha", "cmdstat_eval"}
    )


def test_a_queue_that_an_operator_holds_back_keeps_nobody_busy(
    raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    Queue("app", connection=raw).enqueue(rq_jobs.note, "a")
    raw.hset("reuse:{app}:environment", "paused", "1")
    waits: list[float] = []
    here, others_sleep = threading.current_thread(), time.sleep

    def sleep(seconds: float) -> None:
        if threading.current_thread() is not here:
            return others_sleep(seconds)
        waits.append(seconds)
        if len(waits) == 3:
            raw.hdel("reuse:{app}:environment", "paused")
        return None

    monkeypatch.setattr("reuse_worker.rq_worker.books.time.sleep", sleep)
    raw.config_resetstat()
    ReuseWorker(["app"], name="w1", connection=raw).work(max_jobs=1, logging_level="CRITICAL")

    assert waits == [1.0, 1.0, 1.0]
    assert "cmdstat_blmove" not in raw.info("commandstats")
    assert ran(raw) == [b"a"]


def test_a_queue_that_is_held_back_hides_no_other(
    raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REUSE_QUEUE_HEARTBEAT", "5")
    Queue("held", connection=raw).enqueue(rq_jobs.note, "a")
    raw.hset("reuse:{held}:environment", "paused", "1")
    books, queues = Books(raw, "w1", ["held", "open"]), ["held", "open"]
    books.enlist()
    assert books.claim(queues, 1, Pace()) is None

    waiting = threading.Thread(target=books.wait, args=(queues, 30))
    waiting.start()
    eventually_sync(lambda: raw.info("clients")["blocked_clients"] == 1)
    job = Queue("open", connection=raw).enqueue(rq_jobs.note, "b")
    waiting.join(20)

    found = books.claim(queues, 1, Pace())
    assert found is not None
    assert (found[0], [each.id for each in found[1]]) == ("open", [job.id])
