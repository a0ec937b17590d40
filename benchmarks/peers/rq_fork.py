"""Worker, which forks for every job, one at a time; its defaults."""

from rq import Worker

from benchmarks.peers.rq_simple import (  # noqa: F401  # the same tasks and queue
    bulk,
    cpu1,
    fan,
    noop,
    queue,
    sender,
    sleep10,
)


def work() -> None:
    here = queue()
    Worker([here], connection=here.connection).work(logging_level="WARNING")
