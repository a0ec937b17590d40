"""For applications' own tests: `inline` runs jobs on the spot, without Redis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reuse_queue.environment import TaskEnvironment, stand_ins
from reuse_queue.testing.jobs import InlineJob
from reuse_queue.testing.link import InlineLink
from reuse_queue.testing.loop import Loop

__all__ = ["InlineJob", "inline"]


@contextmanager
def inline(*environments: TaskEnvironment) -> Iterator[list[InlineJob]]:
    """Run every job when it is enqueued, until the block ends; yield the jobs, in that order.

        with inline(env) as jobs:
            client.post("/photos", content=PNG)  # enqueues classify
        assert [job.task for job in jobs] == ["app.classify"]

    `enqueue` and its relatives return when the job has ended: its handle has the result, or
    raises TaskFailed. Arguments and results go through the serializer and its checks, as they
    would on the wire. Retries follow at once, a delay is only recorded, and no job waits, so
    that neither a queue_timeout nor a deadline is ever over. No callback is called.

    The environments' hooks run as in a replica: `preload` and `on_start` before the first job
    (where environments are named: before the block), `on_stop` after the block. Coroutines run
    on one event loop in a thread of its own: as in a replica, it is not the application's. Sync
    tasks run in the calling thread, or beside it where a loop is running. A coroutine task is
    held to its timeout, a sync one is not. One that is canceled while another thread runs it, as
    by an `asyncio.timeout` around `aenqueue_and_wait`, ends as canceled: a coroutine is canceled
    where it awaits, a sync task runs on for nothing.

    Args:
        environments: whose jobs run inline; if none is named, all environments' do.
    """
    names = {each.name for each in environments}

    def covers(name: str) -> bool:
        return not names or name in names

    with Loop() as loop:
        link = InlineLink(loop)
        stand_ins.append((covers, link))
        try:
            for each in environments:
                link.start(each)
            yield link.jobs.recorded
        finally:
            try:
                link.stop()
            finally:
                stand_ins.remove((covers, link))
