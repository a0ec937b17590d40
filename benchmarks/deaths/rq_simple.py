"""rq's SimpleWorker, jobs with Retry(max=3)."""

import sys

import redis
from rq import Queue, Retry, SimpleWorker

from benchmarks.deaths.body import REDIS, run


def queue() -> Queue:
    return Queue("deaths", connection=redis.Redis.from_url(REDIS))


def send() -> None:
    queue().enqueue(run, retry=Retry(max=3))


def work(kind: type = SimpleWorker) -> None:
    own = queue()
    kind([own], connection=own.connection).work(logging_level="WARNING")


if __name__ == "__main__":
    {"send": send, "work": work}[sys.argv[1]]()
