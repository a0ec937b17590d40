"""Leases: what a replica does with jobs. All methods return steps."""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from reuse_queue.broker import codec, ends
from reuse_queue.broker.connection import MAX_BLOCK_S, Command, Step, Value, call, command
from reuse_queue.broker.keys import Keys
from reuse_queue.facts import Death
from reuse_queue.job import Claim, ClaimedJob, Outcome, Recorded, Verdict
from reuse_queue.settings import Settings

# rq's own cleanup (even `rq info` runs it) fails what it finds lapsed: it must come after ours.
GRACE = timedelta(seconds=60)
# rq's defaults for jobs that say nothing themselves.
_TIMEOUT, _RESULT_TTL = timedelta(seconds=180), timedelta(seconds=500)
CLAIMED_FIELDS = 11
_RECORDED = {
    "f": Recorded.FINISHED,
    "e": Recorded.FAILED,
    "r": Recorded.RETRIED,
    "c": Recorded.CANCELED,
    "l": Recorded.LOST,
}
_FATES = {
    Verdict.FAILED: "failed",
    Verdict.CANCELED: "canceled",
    Verdict.STOPPED: "stopped",
    None: "lost",
}


class Leases:
    """Claim, finish and give back the jobs of one environment."""

    def __init__(self, keys: Keys, env: str, settings: Settings) -> None:
        self._keys = keys
        self._env = env
        self._settings = settings
        self._lasts_s = round((settings.lease + GRACE).total_seconds())
        self._books, self._names = keys.books(env), keys.names(env)

    def wait(self, replica: str, timeout: timedelta) -> Step[str | None]:
        """Wait for a job and return its id, moved to the replica's own waiting list; else None.

        BLMOVE queue → waiting list (timeout at most MAX_BLOCK_S). The id is not claimed yet: pass
        it to `claim` next. If the replica dies in between, reclaim or end_replica returns it.
        """
        reply = yield self._wait(replica, timeout)
        return None if reply is None else codec.name(reply)

    def wait_and_claim(
        self, replica: str, timeout: timedelta, count: int, token: str, away: int = 0
    ) -> Step[Claim]:
        """Do what `wait` does, then what `claim` does, in one round trip.

        Redis runs the claim that was sent behind the wait as soon as the wait is over, whatever
        came of it: a server that is full refuses the wait alone.
        """
        wait = replace(self._wait(replica, timeout), may_fail=True)
        waited, reply = yield [wait, self._claim(replica, count, token, away)]
        claim = _claim(reply)
        if isinstance(waited, Exception) and not claim.jobs and not claim.refused:
            raise waited
        return claim

    def waiting(self, replica: str) -> Step[int]:
        """Return how many jobs a replica may claim now."""
        keys, env = self._keys, self._env
        lists = (keys.queue(env), keys.urgent(env), keys.waiting(env, replica))
        lengths = yield [command("LLEN", each) for each in lists]
        return sum(lengths)

    def claim(
        self, replica: str, count: int, token: str, away: int = 0, *, urgent_only: bool = False
    ) -> Step[Claim]:
        """Claim up to `count` jobs (1 … 1,000) for a replica, atomically.

        First what lies in its waiting list (claimed even by a draining replica), then urgent
        jobs, then the queue. `token` is a new execution id, 32 hexadecimal digits: the first
        job's; those of the others are numbered in its last eight (see `new_token`). Canceled,
        expired and deleted jobs are dropped. A job that was claimed but whose reply got lost is
        found by `release(replica, known=…)`. `away` is how many jobs of the replica only wait for
        others; `urgent_only` leaves the queue alone.
        """
        reply = yield self._claim(replica, count, token, away, urgent_only=urgent_only)
        return _claim(reply)

    def signed(self, claim: Claim) -> Step[Claim]:
        """Return a claim whose jobs have the signatures that stand in their hashes."""
        if not claim.jobs:
            return claim
        signatures = yield [
            command("HGET", self._keys.job(job.id), "reuse_signature") for job in claim.jobs
        ]
        jobs = zip(claim.jobs, signatures, strict=True)
        return replace(claim, jobs=tuple(replace(job, signature=found) for job, found in jobs))

    def finish(self, replica: str, outcomes: Sequence[Outcome]) -> Step[list[Recorded]]:
        """Record outcomes (at most 1,000) in rq's format, where the lease is still held.

        A failure with retries left is retried (at once or through the scheduled registry).
        Dependents are released. Idempotent: a repeat answers LOST and writes nothing.
        """
        if not outcomes:
            return []
        words = [word for outcome in outcomes for word in _words(outcome)]
        reply = yield self._on_replica("finish", replica, *words)
        return [_RECORDED[letter] for letter in reply.decode()]

    def release(
        self, replica: str, executions: Sequence[str] = (), known: Sequence[str] | None = None
    ) -> Step[int]:
        """Give jobs back to the front of the queue, uncharged, in their old order; return how many.

        Either the named executions, or, with `known`, all that the replica holds except those
        (what a lost claim reply left behind). The waiting list goes back as well.
        """
        which = ("only", *executions) if known is None else ("except", *known)
        reply = yield self._on_replica("release", replica, *which)
        return int(reply)

    def renew(self, replicas: Sequence[str]) -> Step[list[bool]]:
        """Extend the leases of replicas and of all they hold; False where one is lost already."""
        keys = (self._keys.replicas(self._env), self._keys.registry("wip", self._env))
        lease_ms = round(self._settings.lease.total_seconds() * 1000)
        reply = yield call("renew", keys, self._names[0], lease_ms, self._lasts_s, *replicas)
        return [bool(kept) for kept in reply]

    def end_replica(
        self,
        death: Death,
        running: Mapping[str, Verdict | None],
        *,
        unbegun: Iterable[str] = (),
        asked: bool = False,
    ) -> Step[int]:
        """Take a dead replica off the books; return how many of its jobs went back or ended.

        `running` maps the execution ids that were really running to the verdict that its agent
        had passed: FAILED (killed for its timeout: counts as a failure, retries apply), CANCELED,
        STOPPED, or None (lost: one more loss on its account, dead after `max_deliveries`, to the
        front of the queue after its first loss and to the back after another; a job with
        redeliver=False fails). Everything else it held goes back uncharged; but a job with
        redeliver=False, which may have ended and not been recorded, only if it is among the
        `unbegun`. `asked`: it ended as it was told to, so the death is not recorded as one. Wakes
        the scaler.
        """
        fates = [word for execution in unbegun for word in (execution, "unbegun")]
        for execution, verdict in running.items():
            fates += execution, _FATES[verdict]
        reply = yield call(
            "end_replica",
            self._books,
            *self._names,
            self._settings.max_deliveries,
            death.replica,
            death.host,
            death.version,
            death.cause,
            int(death.was_ready),
            round(death.age.total_seconds() * 1000),
            death.detail,
            int(asked),
            *fates,
        )
        return int(reply)

    def reclaim(self, limit: int = 10) -> Step[list[str]]:
        """End replicas whose lease ran out (at most `limit`), all they held as lost; names."""
        # An ended replica's last BLMOVE may run that long, and its reply as long again.
        lingers_ms = round(MAX_BLOCK_S * 2 * 1000)
        reply = yield call(
            "reclaim",
            self._books,
            *self._names,
            self._settings.max_deliveries,
            limit,
            lingers_ms,
        )
        return [codec.name(name) for name in reply]

    def _wait(self, replica: str, timeout: timedelta) -> Command:
        queue, waiting = self._books[0], self._keys.waiting(self._env, replica)
        # Redis takes 0 for "no timeout".
        block_s = max(0.001, min(timeout.total_seconds(), MAX_BLOCK_S))
        return command("BLMOVE", queue, waiting, "LEFT", "RIGHT", block_s, blocks_s=block_s)

    def _claim(
        self, replica: str, count: int, token: str, away: int, *, urgent_only: bool = False
    ) -> Command:
        keys, env = self._keys, self._env
        names = (
            keys.queue(env),
            keys.urgent(env),
            keys.waiting(env, replica),
            keys.registry("wip", env),
            keys.environment(env),
            keys.replica(env, replica),
            keys.worker(replica),
            keys.worker_executions(replica),
            keys.held(env),
            keys.limits(env),
            keys.suspended(),
        )
        words = (self._names[0], replica, self._lasts_s, env, keys.wake_channel(), count, token)
        return call("claim", names, *words, away, int(urgent_only))

    def _on_replica(self, script: str, replica: str, *words: Value) -> Command:
        """Return the call of a script on what one replica holds."""
        keys, env = self._keys, self._env
        its = (
            keys.replica(env, replica),
            keys.worker(replica),
            keys.worker_executions(replica),
            keys.cancels(env, replica),
            keys.waiting(env, replica),
        )
        return call(script, (*self._books, *its), *self._names, replica, *words)


def new_token() -> str:
    """Return an execution id from which those of a whole claim can be numbered."""
    return os.urandom(12).hex() + "00000001"


def _claim(reply: list[Any]) -> Claim:
    refused, backlog, replicas, idle, given = reply[:5]
    end = 5 + given * CLAIMED_FIELDS
    return Claim(
        jobs=tuple(_jobs(reply[5:end])),
        backlog=backlog,
        replicas=replicas,
        idle=idle,
        refused=codec.name(refused),
        dropped=tuple(map(codec.name, reply[end:])),
    )


def _jobs(words: list[Any]) -> Iterator[ClaimedJob]:
    for at in range(0, len(words), CLAIMED_FIELDS):
        job_id, execution, data, timeout, result_ttl, *more = words[at : at + CLAIMED_FIELDS]
        losses, retries, enqueued, once, left_ms, named = more
        named_ends = ends.parts(named)
        yield ClaimedJob(
            id=codec.name(job_id),
            execution=execution.decode(),
            data=data,
            timeout=codec.duration(timeout, _TIMEOUT),
            result_ttl=codec.duration(result_ttl, _RESULT_TTL),
            deliveries_lost=codec.number(losses),
            retries_left=codec.number(retries),
            enqueued_at=codec.moment(enqueued),
            run=codec.name(enqueued or b""),
            # What is left of one that has ended may be done twice.
            redeliver=once != b"1" or named_ends.get("decided") is not None,
            ends_in=None if left_ms is None else timedelta(milliseconds=left_ms),
            **named_ends,
        )


def _words(outcome: Outcome) -> tuple[Value, ...]:
    again = outcome.verdict is Verdict.AGAIN
    lasts = codec.seconds(outcome.delay if again else outcome.result_ttl)
    return (
        outcome.job_id,
        outcome.execution,
        "late" if outcome.late else outcome.verdict.value,
        _payload(outcome),
        lasts if outcome.again is None else codec.again(outcome.again),
        f"{outcome.took.total_seconds():.6f}",
        int(outcome.first if again else outcome.verdict is Verdict.FAILED and outcome.retry),
    )


def _payload(outcome: Outcome) -> bytes:
    """Return the value or the traceback as rq writes it into a result stream."""
    if outcome.verdict in {Verdict.FAILED, Verdict.STOPPED}:
        return base64.b64encode(zlib.compress(outcome.error.encode()))
    return b"" if outcome.value is None else base64.b64encode(outcome.value)
