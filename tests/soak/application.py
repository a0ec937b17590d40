"""An application whose jobs end in every way there is, and keep what is left for a moment only."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rq import Queue
from rq.group import Group
from rq.rate_limit import RateLimit

from support.fleet_processes import ENV

KEPT_S = 1
"""How long results, failures and canceled jobs are kept."""
OTHER = "whole-sync"
BATCH = 1000
LARGE = "x" * 65536

TASKS = f"""
KEPT = {{"result_ttl": {KEPT_S}, "failure_ttl": {KEPT_S}}}
other = TaskEnvironment("{OTHER}", reusable=ReusePolicy(replicas=2, idle_ttl=3600))

@env.task(**KEPT)
async def echo(value: str) -> str:
    return value

@env.task(**KEPT)
async def wait(seconds: float) -> None:
    await asyncio.sleep(seconds)

@env.task(**KEPT)
async def boom() -> None:
    raise ValueError("on purpose")

@env.task(**KEPT, retries=1, backoff=None)
async def second_time() -> None:
    if current_job().retries_left:
        raise ValueError("on purpose, once")

@env.task(**KEPT)
async def parent(children: int) -> int:
    waits = await echo.aenqueue_many([("child",)] * children)
    await plain.override(detached=True).aenqueue(children)
    return len([await each for each in waits])

@env.task(**KEPT)
async def parent_for_ever() -> None:
    await echo.override(delay=3600).aenqueue_many([("never",)] * 3)
    await (await echo.override(delay=3600).aenqueue("never"))

@other.task(**KEPT)
def plain(value: int) -> int:
    return value
"""


@dataclass
class Producer:
    """Enqueues batches of jobs of all kinds, and keeps nothing of them.

    The application has no patience: what may be repeated leaves marks that outlast the jobs.
    """

    app: Any
    raw: Any
    _names: Any = field(default_factory=itertools.count)

    def batch(self) -> int:
        """Enqueue about a thousand jobs, some by a stock client; return how many."""
        app = self.app
        count = sum(
            len(jobs)
            for jobs in (
                app.echo.enqueue_many([("a",)] * 800),
                app.plain.enqueue_many([(n,) for n in range(50)]),
                app.boom.enqueue_many([()] * 40),
                app.second_time.enqueue_many([()] * 40),
                app.echo.enqueue_many([(LARGE,)] * 5),
                app.wait.enqueue_many([(0.01,)] * 5),
                app.echo.override(delay=0.5).enqueue_many([("later",)] * 10),
            )
        )
        return count + self._families() + self._canceled() + self._stock()

    def _families(self) -> int:
        """Enqueue jobs that enqueue others, some to be canceled with those."""
        calls = [(4,)] * 8
        parents = self.app.parent.enqueue_many(calls)
        urgent = self.app.parent_for_ever.override(priority="high")
        canceled = urgent.enqueue_many([()] * 4)
        for job in canceled[:2]:
            job.cancel()
        for job in canceled[2:]:
            # One that has enqueued its children before it is canceled.
            while not (job.status().ended or job.job().children):
                time.sleep(0.01)
            job.cancel()
        return len(parents) * 6 + len(canceled)

    def _canceled(self) -> int:
        """Cancel what is scheduled, and what waits or runs or has ended already."""
        later = self.app.echo.override(delay=3600).enqueue_many([("never",)] * 10)
        jobs = [*later, *self.app.wait.enqueue_many([(0.1,)] * 10)]
        for job in jobs:
            job.cancel()
        return len(jobs)

    def _stock(self) -> int:
        """Enqueue, by rq itself, a chain, one that fails at its head, a group and a rate limit."""
        number = next(self._names)
        queue = Queue(ENV, connection=self.raw, serializer="json")
        kept = {"result_ttl": KEPT_S, "failure_ttl": KEPT_S}
        echo = ("whole_app.echo", "a")
        parent = queue.enqueue(*echo, **kept)
        queue.enqueue(*echo, depends_on=parent, **kept)
        head = queue.enqueue("whole_app.boom", **kept)
        queue.enqueue(*echo, depends_on=head, **kept)
        limit = RateLimit(f"limit{number}", 1)
        for _ in range(3):
            queue.enqueue(*echo, rate_limit=limit, **kept)
        calls = [Queue.prepare_data(echo[0], echo[1:], **kept) for _ in range(4)]
        Group.create(connection=self.raw, name=f"group{number}").enqueue_many(queue, calls)
        # rq cannot cancel a job that begins or ends at the same moment.
        queue.enqueue_in(timedelta(hours=1), *echo, **kept).cancel()
        return 12


def at_rest(raw: Any, envs: Sequence[str] = (ENV, OTHER)) -> bool:
    """Whether no job waits, runs or is due later."""
    lists = [key for env in envs for key in (f"rq:queue:{env}", f"reuse:{{{env}}}:urgent")]
    zsets = [f"rq:{kind}:{env}" for env in envs for kind in ("wip", "scheduled")]
    return not any([*map(raw.llen, lists), *map(raw.zcard, zsets)])


def backlog(raw: Any) -> int:
    """Return how many jobs wait."""
    return int(raw.llen(f"rq:queue:{ENV}")) + int(raw.llen(f"rq:queue:{OTHER}"))
