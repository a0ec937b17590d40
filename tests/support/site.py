"""One environment with jobs and replicas, written straight into Redis, and its leases."""

import base64
import itertools
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import redis

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.lease import Leases
from reuse_queue.facts import Death
from reuse_queue.job import Claim, ClaimedJob, Outcome, Recorded, Verdict

ENV = "app"
STAMP = "2026-01-02T03:04:05.000006Z"
_tokens = (f"{n:024x}00000001" for n in itertools.count())


class Site:
    """What a test of one step needs around it."""

    def __init__(self, connection: Connection, raw: redis.Redis) -> None:
        self.connection = connection
        self.raw: Any = raw  # redis-py's types say text or bytes; here it is bytes
        self.keys = connection.keys
        self.leases = Leases(self.keys, ENV, connection.settings)
        raw.hset(self.keys.environment(ENV), mapping={"state": "active", "poke": "0"})

    def replica(self, name: str = "r1", *, state: str = "ready", host: str = "h1") -> str:
        """Put a replica on the books, with its rq worker, as Fleet does."""
        keys = self.keys
        now_ms = self.now_ms()
        lease_end = now_ms + self.connection.settings.lease / timedelta(milliseconds=1)
        self.raw.zadd(keys.replicas(ENV), {name: lease_end})
        self.raw.hset(
            keys.replica(ENV, name),
            mapping={
                "environment": ENV,
                "host": host,
                "version": "v1",
                "state": state,
                "ordered_at": now_ms - 5000,
                "ready_at": now_ms if state == "ready" else "",
                "idle_since": now_ms,
            },
        )
        self.raw.sadd(keys.assigned(ENV, host), name)
        worker = {"birth": STAMP, "last_heartbeat": STAMP, "queues": ENV, "state": "starting"}
        worker |= {"pid": "1", "hostname": host, "version": "3.0.0", "python_version": "3.11"}
        self.raw.hset(keys.worker(name), mapping=worker)
        self.raw.expire(keys.worker(name), 480)
        self.raw.sadd(keys.workers(), keys.worker(name))
        self.raw.sadd(keys.workers_of(ENV), keys.worker(name))
        return name

    def enqueue(self, *ids: str, **fields: str | int) -> None:
        """Write queued jobs and push their ids, in this order."""
        for job_id in ids:
            given = {"data": "payload", "status": "queued", "origin": ENV, "enqueued_at": STAMP}
            self.raw.hset(self.keys.job(job_id), mapping=given | fields)
            self.raw.rpush(self.keys.queue(ENV), job_id)

    def claims(self, name: str = "r1", count: int = 10) -> Claim:
        """Claim, with everything the claim says."""
        return self.connection.run(self.leases.claim(name, count, next(_tokens)))

    def claim(self, name: str = "r1", count: int = 10) -> list[ClaimedJob]:
        return list(self.claims(name, count).jobs)

    def running(self, job_id: str, name: str = "r1", **fields: str | int) -> ClaimedJob:
        """Enqueue one job and claim it."""
        self.enqueue(job_id, **fields)
        (job,) = self.claim(name, 1)
        assert job.id == job_id
        return job

    def finish(self, *outcomes: Outcome, name: str = "r1") -> list[Recorded]:
        return self.connection.run(self.leases.finish(name, outcomes))

    def end(
        self,
        name: str,
        running: Mapping[str, Verdict | None],
        *,
        unbegun: Sequence[str] = (),
        asked: bool = False,
        cause: str = "killed by SIGKILL",
    ) -> int:
        """Take a replica off the books as its agent does."""
        death = Death(
            replica=name,
            host="h1",
            version="v1",
            at=datetime.now(UTC),
            cause=cause,
            was_ready=True,
            age=timedelta(seconds=12.5),
            detail="detail",
        )
        step = self.leases.end_replica(death, running, unbegun=unbegun, asked=asked)
        return self.connection.run(step)

    # -- what Redis has ---------------------------------------------------------------------

    def job(self, job_id: str) -> dict[str, str]:
        return texts(self.raw.hgetall(self.keys.job(job_id)))

    def status(self, job_id: str) -> str | None:
        return self.job(job_id).get("status")

    def queue(self) -> list[str]:
        return [each.decode() for each in self.raw.lrange(self.keys.queue(ENV), 0, -1)]

    def registry(self, kind: str) -> dict[str, float]:
        return {
            member.decode(): score
            for member, score in self.raw.zrange(
                self.keys.registry(kind, ENV), 0, -1, withscores=True
            )
        }

    def results(self, job_id: str) -> list[dict[str, str]]:
        return [texts(entry) for _, entry in self.raw.xrange(self.keys.results(job_id))]

    def error(self, job_id: str) -> str:
        """Return the text of the job's newest result."""
        return zlib.decompress(base64.b64decode(self.results(job_id)[-1]["exc_string"])).decode()

    def traces(self) -> set[str]:
        """Return the keys that only a held job has."""
        patterns = ("rq:execution:*", "rq:executions:*", "rq:worker:*:executions")
        left = {key.decode() for pattern in patterns for key in self.raw.keys(pattern)}
        return left | set(self.registry("wip"))

    def now_ms(self) -> int:
        seconds, micros = self.raw.time()
        return int(seconds * 1000 + micros // 1000)


def texts(mapping: Any) -> dict[str, str]:
    return {field.decode(): value.decode(errors="replace") for field, value in mapping.items()}


def finished(job: ClaimedJob, value: bytes | None = b"1", **more: Any) -> Outcome:
    return outcome(job, Verdict.FINISHED, value=value, **more)


def failed(job: ClaimedJob, error: str = "Traceback …\nValueError: no", **more: Any) -> Outcome:
    return outcome(job, Verdict.FAILED, error=error, **more)


def canceled(job: ClaimedJob) -> Outcome:
    return outcome(job, Verdict.CANCELED)


def outcome(job: ClaimedJob, verdict: Verdict, **more: Any) -> Outcome:
    more.setdefault("result_ttl", job.result_ttl)
    return Outcome(job_id=job.id, execution=job.execution, verdict=verdict, **more)
