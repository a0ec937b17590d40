"""rq: its default Worker, which forks for every job."""

from rq import Worker

from benchmarks.peers.rq_simple import (  # noqa: F401  # the same tasks and queue
    CONCURRENCY,
    _queue,
    bulk,
    cpu1,
    noop,
    sender,
    sleep10,
)


def work() -> None:
    queue = _queue()
    Worker([queue], connection=queue.connection).work(logging_level="WARNING")
