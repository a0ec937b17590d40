"""SimpleWorker: no fork per job, one at a time; pickle, results kept 500 s, its defaults."""

import time
from collections.abc import Callable

import redis
from rq import Queue, SimpleWorker

from benchmarks.meter import burn, hit
from benchmarks.peers import CHILDREN, URL


def noop() -> None:
    hit()


def sleep10() -> None:
    hit()
    time.sleep(0.01)


def cpu1() -> None:
    hit()
    burn()


def fan() -> None:
    for child in queue().enqueue_many([Queue.prepare_data(noop) for _ in range(CHILDREN)]):
        while child.latest_result(timeout=1) is None:
            pass
    hit(0)


def queue() -> Queue:
    return Queue("bench", connection=redis.Redis.from_url(URL))


def sender(kind: str) -> Callable[[], object]:
    here, task = queue(), globals()[kind]
    return lambda: here.enqueue(task)


def bulk(kind: str) -> Callable[[int], object]:
    here, task = queue(), globals()[kind]

    def send(count: int) -> None:
        for start in range(0, count, 1000):
            some = min(1000, count - start)
            here.enqueue_many([Queue.prepare_data(task) for _ in range(some)])

    return send


def work() -> None:
    here = queue()
    SimpleWorker([here], connection=here.connection).work(logging_level="WARNING")
