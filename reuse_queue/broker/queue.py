"""JobQueue: what applications and operators do with jobs. All methods return steps."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from reuse_queue.broker import codec, kin, results
from reuse_queue.broker.connection import MAX_BLOCK_S, Command, Step, Value, call, command
from reuse_queue.broker.keys import Keys
from reuse_queue.broker.kin import Kin
from reuse_queue.broker.new_jobs import MAX_BATCH, batches, confirmed, mark_lasts, names_and_words
from reuse_queue.broker.parts import parts_of, words_of
from reuse_queue.context import RunningJob, current_job
from reuse_queue.errors import JobNotFound
from reuse_queue.job import Durability, Ending, Job, JobStatus, NewJob

# Each cancel may search through two thousand ids.
_AT_ONCE = {"cancel": 100, "requeue": MAX_BATCH}
# What a request may take beside the patience that it is repeated with: its own last deadline, and
# a server that stood still.
_SLACK = timedelta(seconds=60)
_REGISTRIES = {
    JobStatus.STARTED: "wip",
    JobStatus.FINISHED: "finished",
    JobStatus.FAILED: "failed",
    JobStatus.DEFERRED: "deferred",
    JobStatus.SCHEDULED: "scheduled",
    JobStatus.CANCELED: "canceled",
    JobStatus.READY_TO_ENQUEUE: "ready",
}
# Their scores say what comes next, not what happened last.
_NEXT_FIRST = frozenset({JobStatus.STARTED, JobStatus.SCHEDULED})


class JobQueue:
    """Enqueue, look at, cancel and retry jobs; `Connection.run` runs what the methods return.

    Args:
        keys: the names of Redis' keys.
        replication_timeout: how long jobs that are to be replicated wait for that.
        patience: that with which these steps are run.
    """

    def __init__(
        self,
        keys: Keys,
        replication_timeout: timedelta = timedelta(seconds=MAX_BLOCK_S),
        patience: timedelta = timedelta(0),
    ) -> None:
        self._keys = keys
        self._replication_s = replication_timeout.total_seconds()
        self._repeated_for = patience + _SLACK if patience else timedelta(0)
        # Single jobs are written so often that to put these names together would show.
        self._to_enqueue = lru_cache(maxsize=1024)(partial(names_and_words, keys))

    def enqueue(self, env: str, jobs: Sequence[NewJob]) -> Step[int]:
        """Write jobs and push their ids; return how many were new.

        One round trip (batches of at most 1,000 in one pipeline). A job whose id exists already
        is left as it is, so a repeat after a lost reply is harmless; where jobs may have run and be
        gone by then, the call leaves a mark of its own. Wakes the scaler.

        Raises:
            NotReplicated: a job that is to be replicated was not confirmed in time.
        """
        mark_s = mark_lasts(jobs, self._repeated_for)
        parent = current_job() if any(job.terms.child for job in jobs) else None
        calls = [self._writing(env, mark_s, parent, words) for words in batches(env, jobs)]
        asked = tuple(job.id for job in jobs if job.terms.durability is Durability.REPLICATED)
        if asked:
            counter = self._keys.environment(env)
            return (yield from confirmed(calls, asked, counter, self._replication_s))
        if len(calls) == 1:
            return int((yield calls[0]))
        replies = yield calls
        return sum(replies)

    def fetch(self, job_id: str) -> Step[Job]:
        """Return a job as it is now.

        Raises:
            JobNotFound: there is no such job.
        """
        hashes = yield [command("HMGET", self._keys.job(job_id), *codec.JOB_FIELDS)]
        found = yield from self._jobs([job_id], hashes)
        if not found:
            raise JobNotFound(
                f"there is no job {job_id!r}: it never existed, or its record has expired"
            )
        return found[0]

    def fetch_many(self, job_ids: Sequence[str]) -> Step[list[Job]]:
        """Return those of the jobs that exist, in the given order.

        One round trip; one more where there are scheduled ones, to learn when they are due.
        """
        parts = [job_ids[at : at + MAX_BATCH] for at in range(0, len(job_ids), MAX_BATCH)]
        # In a script, where one that is no hash cannot hide the others.
        replies = yield [
            call("fetch", (), self._keys.job(""), len(part), *part, *codec.JOB_FIELDS)
            for part in parts
        ]
        hashes = [values for reply in replies for values in reply]
        return (yield from self._jobs(job_ids, hashes))

    def result(self, job_id: str) -> Step[Ending]:
        """Return a job's status and the record of its end; (None, None) for no such job.

        There is a record only where the job has finished, failed or been stopped: that of an
        earlier end of a job that was put back does not count.
        """
        keys = self._keys.job(job_id), self._keys.results(job_id)
        return results.ending((yield call("result", keys)))

    def cancel(self, job_ids: Sequence[str]) -> Step[list[JobStatus | None]]:
        """Cancel jobs; return the status each had before, None where there is no such job.

        Jobs that wait (queued, scheduled, deferred …) are canceled at once; a running one is
        ordered to be (its replica hears of it at once and records it); one that has ended is left
        as it is. Jobs that depend on a canceled one stay deferred, as in rq.

        The id of a queued job leaves the list if it is near either end of it. One deep inside
        stays, and counts as backlog, until a claim comes to it and drops it; requeued meanwhile,
        it is there twice, and the second one is dropped, since the job no longer waits.

        Children go with their parents, theirs too, unless they are detached or have ended: those
        that are there now are canceled before this returns, what their parents still enqueue when
        these have ended. An execution that another one goes on for, or will, cancels nothing: what
        it calls its children are the other's.
        """
        if job_ids and (yield from kin.replaced(self._keys, current_job())):
            found = yield [command("HGET", self._keys.job(i), "status") for i in job_ids]
            return [codec.status(each) for each in found]
        canceler = current_job()
        statuses, parents = yield from self._cancel(job_ids, canceler.id if canceler else "")
        yield from kin.fell(self._keys, self._cancel, parents)
        return statuses

    def fell(self, env: str, limit: float = math.inf) -> Step[int]:
        """Cancel the children of jobs that were canceled, or were too late, without them.

        That is what is left to do where a job was canceled by others, was told to end and enqueued
        some more meanwhile, ran past its limit, or where who canceled it has ended in between.
        Looks at about `limit` children, returns how many.
        """
        return (yield from kin.fell(self._keys, self._cancel, [(env, "")], limit))

    def requeue(self, job_ids: Sequence[str]) -> Step[list[JobStatus | None]]:
        """Put failed, canceled or stopped jobs back into their queue; return the statuses before.

        Jobs in another status are left as they are. The count of losses starts anew, and so do
        their queue_timeout and their deadline.
        """
        statuses, _ = yield from self._steered("requeue", job_ids, ("limits",), "enqueued_at")
        return statuses

    def ids(self, env: str, status: JobStatus, start: int, count: int) -> Step[list[str]]:
        """Return ids of an environment's jobs of one status, at most `count` from `start` on.

        In the order in which they will be claimed or are due; those that ended, the latest first.
        Those that were stopped are among the failed, as in rq; a status without a registry has
        none.
        """
        if count < 1:
            return []
        if status is JobStatus.QUEUED:
            return (yield from self._queued(env, start, count))
        kind = _REGISTRIES.get(status)
        if kind is None:
            return []
        verb = "ZRANGE" if status in _NEXT_FIRST else "ZREVRANGE"
        found = yield command(verb, self._keys.registry(kind, env), start, start + count - 1)
        names = [codec.name(member) for member in found]
        # What runs is registered by job and execution.
        return [each.rpartition(":")[0] for each in names] if status is JobStatus.STARTED else names

    def children(self, env: str, job_id: str, start: int, count: int) -> Step[list[str]]:
        """Return ids of the jobs that a job of an environment has enqueued, in their order.

        At most `count` from `start` on (below 0: from the end). All that go on, and of those that
        have ended about the last ten thousand.
        """
        key = self._keys.children(env, job_id)
        found = yield command("ZRANGE", key, start, -1 if count == -start else start + count - 1)
        return [codec.name(child) for child in found]

    def counts(self, env: str) -> Step[dict[JobStatus, int]]:
        """Return how many jobs of an environment are in each status that has a registry."""
        queued, urgent, *others = yield [
            command("LLEN", self._keys.queue(env)),
            command("LLEN", self._keys.urgent(env)),
            *(command("ZCARD", self._keys.registry(kind, env)) for kind in _REGISTRIES.values()),
        ]
        return {JobStatus.QUEUED: queued + urgent, **dict(zip(_REGISTRIES, others, strict=True))}

    def due(self, env: str, limit: int = 1000) -> Step[int]:
        """Move scheduled jobs that are due to the queue; return how many.

        Also fails jobs that still wait when their queue_timeout or their deadline is over, queues
        what rq left ready to enqueue, and trims the registries of ended jobs: to be called once
        in a while even where nothing is scheduled.
        """
        reply = yield self._on_books("due", env, ("ready", "urgent", "limits"), limit)
        return int(reply)

    def sweep(self, env: str, limit: int = 1000) -> Step[int]:
        """Forget what is over and what nothing else forgets; return how many entries went.

        Canceled jobs are kept as long as failed ones; so are deferred jobs that nothing can
        release any more. Ids of expired jobs leave the registries, and rq's groups and rate
        limits, in which its own workers would tidy up. Looks at about `limit` of each.
        """
        keys = self._keys
        further = (keys.registry("deferred", env), keys.groups(), keys.rate_limits())
        reply = yield call("sweep", (*keys.books(env), *further), *keys.names(env), limit)
        return int(reply)

    # ---------------------------------------------------------------------------------------

    def _writing(
        self, env: str, mark_s: int, parent: RunningJob | None, words: list[Value]
    ) -> Command:
        names, shared = self._to_enqueue(env)
        keys, caller = self._keys, ("", "", "")
        if parent is not None:
            names += keys.children(parent.environment, parent.id), keys.felled(parent.environment)
            caller = (parent.id, parent.execution, parent.run)
        if mark_s:
            names += (keys.mark(env, os.urandom(12).hex()),)
        return call("enqueue", names, *shared, mark_s or "", *caller, *words)

    def _jobs(self, job_ids: Sequence[str], hashes: Sequence[Any]) -> Step[list[Job]]:
        read = [codec.job(i, values) for i, values in zip(job_ids, hashes, strict=True)]
        found = [job for job in read if job is not None]
        due = yield from self._due_at(found)
        return [replace(job, due_at=due.get(job.id)) for job in found]

    def _due_at(self, jobs: Iterable[Job]) -> Step[dict[str, datetime]]:
        scheduled = [job for job in jobs if job.status is JobStatus.SCHEDULED]
        if not scheduled:
            return {}
        scores = yield [
            command("ZSCORE", self._keys.registry("scheduled", job.environment), job.id)
            for job in scheduled
        ]
        return {
            job.id: due
            for job, score in zip(scheduled, scores, strict=True)
            if score is not None and (due := codec.moment_s(float(score)))
        }

    def _cancel(
        self, job_ids: Sequence[str], canceler: str = ""
    ) -> Step[tuple[list[JobStatus | None], list[Kin]]]:
        more = ("urgent", "deferred", "ready")
        return (yield from self._steered("cancel", job_ids, more, first=(canceler,)))

    def _queued(self, env: str, start: int, count: int) -> Step[list[str]]:
        queue, urgent = self._keys.queue(env), self._keys.urgent(env)
        found, before = yield [
            command("LRANGE", urgent, start, start + count - 1),
            command("LLEN", urgent),
        ]
        if len(found) < count:
            first = max(0, start - before)
            found += yield command("LRANGE", queue, first, first + count - len(found) - 1)
        return [codec.name(job_id) for job_id in found]

    def _steered(
        self,
        script: str,
        job_ids: Sequence[str],
        more: tuple[str, ...],
        *stands: str,
        first: tuple[Value, ...] = (),
    ) -> Step[tuple[list[JobStatus | None], list[Kin]]]:
        """Call a script on jobs, environment by environment; return what it says of each job.

        With each id go the fields that `stands` names, as they were before; `first` goes before
        them all. Second come those whose children are to be canceled.
        """
        if not job_ids:
            return [], []
        fields = yield [command("HMGET", self._keys.job(i), "origin", *stands) for i in job_ids]
        found: dict[str, JobStatus | None] = dict.fromkeys(job_ids)
        parts = list(parts_of(dict(zip(job_ids, fields, strict=True)), _AT_ONCE[script]))
        replies = yield [
            self._on_books(script, env, more, *first, *words_of(part)) for env, part in parts
        ]
        parents: list[Kin] = []
        for (env, part), reply in zip(parts, replies, strict=True):
            ids = (job_id for job_id, _ in part)
            found.update(zip(ids, map(codec.status, reply[: len(part)]), strict=True))
            parents += [(env, codec.name(parent)) for parent in reply[len(part) :]]
        return [found[job_id] for job_id in job_ids], parents

    def _on_books(self, script: str, env: str, more: tuple[str, ...], *words: Value) -> Command:
        """Return the call of a script on the books of an environment and some keys more."""
        keys = self._keys
        own = {"urgent": keys.urgent, "limits": keys.limits}
        further = (own[name](env) if name in own else keys.registry(name, env) for name in more)
        return call(script, (*keys.books(env), *further), *keys.names(env), *words)
