"""ReuseWorker in the place of rq's worker, on rq's own jobs, one at a time; its defaults."""

from benchmarks.peers.rq_simple import (  # noqa: F401  # the same tasks and queue
    bulk,
    cpu1,
    fan,
    noop,
    queue,
    sender,
    sleep10,
)
from reuse_worker.rq_worker import ReuseWorker


def work() -> None:
    here = queue()
    ReuseWorker([here], connection=here.connection).work(logging_level="WARNING")
