"""What writes new jobs: the words for lua/enqueue.lua, and the wait for a replica to have them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from itertools import groupby

from reuse_queue.broker import codec
from reuse_queue.broker.connection import Command, Step, Value, command
from reuse_queue.broker.keys import Keys
from reuse_queue.errors import NotReplicated
from reuse_queue.job import NewJob, Priority, Terms

MAX_BATCH = 1000
# A script call of more than this would keep the server from its other clients too long.
_MAX_BATCH_BYTES = 8 * 1024 * 1024


def names_and_words(keys: Keys, env: str) -> tuple[tuple[str, ...], tuple[Value, ...]]:
    """Return the keys of lua/enqueue.lua, and the words that come before those of the jobs."""
    names = (
        keys.queue(env),
        keys.urgent(env),
        keys.registry("scheduled", env),
        keys.queues(),
        keys.environment(env),
        keys.limits(env),
        keys.held(env),
    )
    return names, (keys.job(""), env, keys.wake_channel())


def confirmed(
    calls: Iterable[Command], job_ids: tuple[str, ...], env_key: str, within_s: float
) -> Step[int]:
    """Write jobs and wait until a replica has them; return how many were new.

    WAIT speaks of what its own connection wrote. If it is sent again after an interruption, the
    jobs may be there already, unconfirmed: so a counter is written each time.

    Raises:
        NotReplicated: none confirmed it in time.
    """
    *replies, _, replicas = yield [
        # By their texts: a server that did not know one would get it over another connection.
        *(replace(each, by_text=True) for each in calls),
        command("HINCRBY", env_key, "replicated", len(job_ids)),
        command("WAIT", 1, round(within_s * 1000), blocks_s=within_s),
    ]
    if replicas < 1:
        raise NotReplicated(_unconfirmed(job_ids, within_s), job_ids)
    return sum(replies)


def mark_lasts(jobs: Iterable[NewJob], repeated_for: timedelta) -> int:
    """Return how many seconds the mark of a call that may be repeated has to stay; 0 for none.

    A job that is still there when it is enqueued again is its own mark.
    """
    if repeated_for and any(_lasts(terms) < repeated_for for terms in {job.terms for job in jobs}):
        return math.ceil(repeated_for.total_seconds())
    return 0


def batches(env: str, jobs: Iterable[NewJob]) -> Iterator[list[Value]]:
    """Yield the words of so many jobs as one call of lua/enqueue.lua may take.

    Jobs of the same terms that follow each other share the words for them.
    """
    words: list[Value] = []
    count = size = 0
    for (terms, signed), group in groupby(jobs, _alike):
        shared = (int(signed), *_shared_words(env, terms))
        own: list[Value] = []
        alike = 0
        for job in group:
            if count == MAX_BATCH or (count and size + len(job.data) > _MAX_BATCH_BYTES):
                yield words + _group(alike, shared, own)
                words, own, alike, count, size = [], [], 0, 0, 0
            own += (job.id, job.data, job.signature) if job.signature else (job.id, job.data)
            alike, count, size = alike + 1, count + 1, size + len(job.data)
        words += _group(alike, shared, own)
    if words:
        yield words


def _lasts(terms: Terms) -> timedelta:
    """Return how long a job is there at least, once it has ended."""
    ttls = (terms.result_ttl, terms.failure_ttl)
    return min((ttl for ttl in ttls if ttl is not None), default=timedelta.max)


def _alike(job: NewJob) -> tuple[Terms, bool]:
    return job.terms, job.signature is not None


def _group(count: int, shared: tuple[Value, ...], own: list[Value]) -> list[Value]:
    return [count, *shared, *own] if count else []


@lru_cache(maxsize=1024)
def _shared_words(env: str, terms: Terms) -> list[Value]:
    times = ""
    if terms.delay or terms.queue_timeout or terms.deadline:
        times = ",".join(map(_seconds, (terms.delay, terms.queue_timeout, terms.deadline)))
    fields = [word for pair in codec.terms(env, terms).items() for word in pair]
    urgent = 2 if terms.child else int(terms.priority is Priority.HIGH)
    return [times, urgent, len(fields), *fields]


def _seconds(span: timedelta | None) -> str:
    return f"{span.total_seconds():.6f}" if span else ""


def _unconfirmed(job_ids: Sequence[str], within_s: float) -> str:
    one = len(job_ids) == 1
    return (
        f"{f'job {job_ids[0]} was' if one else f'{len(job_ids)} jobs were'} accepted, but no "
        f"replica of Redis confirmed {'it' if one else 'them'} within {within_s:g} s. They run; "
        "if the primary fails now, they may be lost. Enqueued again, they would run twice. Are the "
        "replicas connected (INFO replication)?"
    )
