"""rq: SimpleWorker (no fork per job), pickle, results kept 500 s: its defaults."""

import os
import time
from collections.abc import Callable

import redis
from rq import Queue, SimpleWorker

from benchmarks.meter import burn, hit

CONCURRENCY = 1


def noop() -> None:
    hit()


def sleep10() -> None:
    hit()
    time.sleep(0.01)


def cpu1() -> None:
    hit()
    burn()


def _queue() -> Queue:
    return Queue("bench", connection=redis.Redis.from_url(os.environ["BENCH_REDIS"]))


def sender(kind: str) -> Callable[[], object]:
    queue, task = _queue(), globals()[kind]
    return lambda: queue.enqueue(task)


def bulk(kind: str, count: int) -> None:
    queue, task = _queue(), globals()[kind]
    for start in range(0, count, 1000):
        queue.enqueue_many([Queue.prepare_data(task) for _ in range(min(1000, count - start))])


def work() -> None:
    queue = _queue()
    SimpleWorker([queue], connection=queue.connection).work(logging_level="WARNING")
