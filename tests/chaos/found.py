"""What Redis holds once everything has ended: each job, the books, and what should be gone."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# What may stay when no job runs and no process is left. All else is a trace of something that
# should have ended.
_STAYS = re.compile(
    r"rq:(job:[^:]+|queues|(finished|failed|canceled):[^:]+)"
    r"|reuse:(environments|fence|leader|\{[^}]+\}:(environment|deaths|decisions|versions|ended))"
)
# The list of what a job has enqueued lasts as long as that job's record, or a minute where there is
# none.
_CHILDREN = re.compile(r"reuse:\{[^}]+\}:children:(.+)")
# What came for a process that had died lasts as long.
_MAIL = re.compile(r"reuse:mail:.+")
_MINUTE = 60
_RESULTS, _MOMENT_S = "rq:results:", 2
_DEATH = re.compile(r'"replica (\S+)(?: on host \S+)? at (\S+): ')
REGISTRIES = ("finished", "failed", "canceled", "scheduled", "deferred", "wip", "ready")


@dataclass(frozen=True, kw_only=True)
class FoundResult:
    """One entry of a job's result stream."""

    kind: int
    """rq's number: 1 successful, 2 failed."""
    execution: str
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class FoundDeath:
    """One loss of a job, as its own record has it."""

    replica: str
    at: float
    """By the ledger's clock."""


@dataclass(frozen=True, kw_only=True)
class FoundJob:
    """One job's records."""

    environment: str
    status: str
    results: tuple[FoundResult, ...] = ()
    losses: int = 0
    deaths: tuple[FoundDeath, ...] = ()
    """The newest ten of its losses."""
    parent: str = ""
    """The job that enqueued it."""
    registries: frozenset[str] = frozenset()
    """Where its id is."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Redis, after everything has ended."""

    jobs: Mapping[str, FoundJob] = field(default_factory=dict)
    totals: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Environment → how many finished and how many failed, by its own counters."""
    strays: tuple[str, ...] = ()
    """Keys that should be gone."""
    phantoms: tuple[str, ...] = ()
    """Entries of registries of which there is no job: "registry: id"."""


def look(raw: Any, environments: Iterable[str]) -> Found:
    """Read it all; `raw` is a plain client."""
    keys = sorted(key.decode() for key in raw.scan_iter("*", count=1000))
    where = _registries(raw, environments)
    ids = [key.removeprefix("rq:job:") for key in keys if re.fullmatch(r"rq:job:[^:]+", key)]
    hashes = _each(ids, lambda pipe, job: pipe.hgetall(f"rq:job:{job}"), raw)
    streams = _each(ids, lambda pipe, job: pipe.xrange(f"rq:results:{job}"), raw)
    jobs = {
        job: _job(fields, entries, where.get(job, frozenset()))
        for job, fields, entries in zip(ids, hashes, streams, strict=True)
    }
    return Found(
        jobs=jobs,
        totals={env: _totals(raw, env) for env in environments},
        strays=tuple(key for key in keys if not _in_place(raw, key)),
        phantoms=tuple(
            f"{kind}: {job}" for job, kinds in where.items() if job not in jobs for kind in kinds
        ),
    )


def _in_place(raw: Any, key: str) -> bool:
    if key.startswith(_RESULTS):
        return _has_a_job(raw, key)
    return bool(_STAYS.fullmatch(key)) or _lasts(raw, key)


def _has_a_job(raw: Any, results: str) -> bool:
    """Return whether a job's result records are not there without it.

    Both go at the same time, but not in the same moment.
    """
    job = raw.exists(f"rq:job:{results.removeprefix(_RESULTS)}")
    return bool(job or -1 != raw.ttl(results) <= _MOMENT_S)


def _lasts(raw: Any, key: str) -> bool:
    """Return whether it is mail, or the list of a job's children, and goes when it should."""
    if _MAIL.fullmatch(key):
        return bool(-1 != raw.ttl(key) <= _MINUTE)
    listed = _CHILDREN.fullmatch(key)
    if listed is None:
        return False
    left, of_job = raw.ttl(key), raw.ttl(f"rq:job:{listed[1]}")
    # Between the two questions a second may have gone.
    return bool(of_job == -1 or -1 != left <= max(of_job, _MINUTE) + 1)


def _registries(raw: Any, environments: Iterable[str]) -> dict[str, frozenset[str]]:
    where: dict[str, set[str]] = {}
    for env in environments:
        for kind in REGISTRIES:
            for member in raw.zrange(f"rq:{kind}:{env}", 0, -1):
                where.setdefault(member.decode().partition(":")[0], set()).add(kind)
    return {job: frozenset(kinds) for job, kinds in where.items()}


def _each(ids: list[str], ask: Callable[[Any, str], object], raw: Any) -> list[Any]:
    replies: list[Any] = []
    for start in range(0, len(ids), 1000):
        pipe = raw.pipeline(transaction=False)
        for job in ids[start : start + 1000]:
            ask(pipe, job)
        replies += pipe.execute()
    return replies


def _job(fields: dict[bytes, bytes], entries: Any, registries: frozenset[str]) -> FoundJob:
    return FoundJob(
        environment=fields.get(b"origin", b"").decode(),
        status=fields.get(b"status", b"").decode(),
        losses=int(fields.get(b"reuse_losses", b"0")),
        deaths=tuple(_deaths(fields.get(b"reuse_deaths", b""))),
        parent=fields.get(b"reuse_parent", b"").decode().rpartition(":")[0],
        results=tuple(_result(entry) for _, entry in entries),
        registries=registries,
    )


def _result(entry: dict[bytes, bytes]) -> FoundResult:
    value = entry.get(b"return_value")
    return FoundResult(
        kind=int(entry[b"type"]),
        execution=entry.get(b"execution_id", b"").decode(),
        value=None if value is None else json.loads(base64.b64decode(value)),
    )


def _deaths(field: bytes) -> Iterator[FoundDeath]:
    """Yield those that can be read: what is missing then, the checker misses."""
    for replica, stamp in _DEATH.findall(field.decode(errors="replace")):
        with suppress(ValueError):
            ago = time.time() - datetime.fromisoformat(stamp).timestamp()
            yield FoundDeath(replica=replica, at=time.monotonic() - ago)


def _totals(raw: Any, env: str) -> tuple[int, int]:
    finished, failed = raw.hmget(f"reuse:{{{env}}}:environment", "finished", "failed")
    return int(finished or 0), int(failed or 0)
