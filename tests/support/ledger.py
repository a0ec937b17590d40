"""Where every job of one environment is, by every structure that could hold it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.site import ENV

_REGISTRIES = ("finished", "failed", "canceled", "scheduled", "deferred", "ready")
_OF_STATUS = {
    "finished": "finished",
    "failed": "failed",
    "canceled": "canceled",
    "scheduled": "scheduled",
    "deferred": "deferred",
    "ready_to_enqueue": "ready",
}


@dataclass
class Ledger:
    """Everything in Redis at one moment, read key by key."""

    statuses: dict[str, str] = field(default_factory=dict)
    listed: Counter[str] = field(default_factory=Counter)
    """Ids in the queue and the urgent list."""
    waiting: Counter[str] = field(default_factory=Counter)
    """Ids in replicas' waiting lists."""
    registered: dict[str, set[str]] = field(default_factory=dict)
    """Registry → ids."""
    leases: set[str] = field(default_factory=set)
    holds: dict[str, set[str]] = field(default_factory=dict)
    """Replica → what it holds."""
    cancels: dict[str, set[str]] = field(default_factory=dict)
    executions: set[str] = field(default_factory=set)
    """By the hashes of executions."""
    running: set[str] = field(default_factory=set)
    """By the jobs' own sets of executions."""
    results: Counter[str] = field(default_factory=Counter)
    """Job → final records."""
    held: dict[str, int] = field(default_factory=dict)
    parents: dict[str, set[str]] = field(default_factory=dict)
    replicas: set[str] = field(default_factory=set)
    totals: Counter[str] = field(default_factory=Counter)

    @property
    def ended(self) -> Counter[str]:
        return Counter(self.statuses.values())

    def check(self, stale: set[str]) -> None:
        """Hold all structures against each other.

        `stale` are jobs whose id may lie in a waiting list once more than they wait: they were
        canceled while it did.
        """
        for job_id, status in self.statuses.items():
            self._check_place(job_id, status, stale)
        started = {each for each, status in self.statuses.items() if status == "started"}
        assert {member.split(":")[0] for member in self.leases} == started
        assert len(self.leases) == len(started)
        assert self.leases == self.executions == self.running
        members = [member for each in self.holds.values() for member in each]
        assert sorted(members) == sorted(self.leases)
        assert self.holds.keys() <= self.replicas
        for replica, count in self.held.items():
            assert count == len(self.holds.get(replica, ()))
        for replica, executions in self.cancels.items():
            assert executions <= {each.split(":")[1] for each in self.holds[replica]}

    def _check_place(self, job_id: str, status: str, stale: set[str]) -> None:
        where = {kind for kind, ids in self.registered.items() if job_id in ids}
        assert where == ({_OF_STATUS[status]} if status in _OF_STATUS else set()), job_id
        queued = self.listed[job_id] + self.waiting[job_id]
        if job_id not in stale:
            assert queued == (status == "queued"), (job_id, status)
        elif status == "queued":
            assert queued >= 1
        if status == "deferred":
            known = [self.statuses.get(parent) for parent in self.parents[job_id]]
            assert not all(each in ("finished", None) for each in known), job_id


def read(raw: Any) -> Ledger:
    """Return what is in Redis now; a key of an unknown kind is an error."""
    found = Ledger()
    for key in map(bytes.decode, raw.keys("*")):
        for prefix, note in _NOTES.items():
            if key.startswith(prefix):
                note(found, key.removeprefix(prefix), raw, key)
                break
        else:
            raise AssertionError(f"who left {key}?")
    return found


def _texts(values: Any) -> list[str]:
    return [value.decode() for value in values]


def _listed(found: Ledger, _: str, raw: Any, key: str) -> None:
    found.listed.update(_texts(raw.lrange(key, 0, -1)))


def _waiting(found: Ledger, _: str, raw: Any, key: str) -> None:
    found.waiting.update(_texts(raw.lrange(key, 0, -1)))


def _job(found: Ledger, rest: str, raw: Any, key: str) -> None:
    if rest.startswith(":"):
        job_id = rest.split(":")[1]
        found.parents[job_id] = set(_texts(raw.smembers(key)))
    elif not rest.endswith(":dependents"):
        found.statuses[rest] = raw.hget(key, "status").decode()


def _results(found: Ledger, job_id: str, raw: Any, key: str) -> None:
    found.results[job_id] = raw.xlen(key)


def _running(found: Ledger, job_id: str, raw: Any, key: str) -> None:
    found.running.update(f"{job_id}:{each}" for each in _texts(raw.zrange(key, 0, -1)))


def _execution(found: Ledger, member: str, raw: Any, key: str) -> None:
    assert raw.ttl(key) > 0
    found.executions.add(member)


def _leases(found: Ledger, _: str, raw: Any, key: str) -> None:
    found.leases = set(_texts(raw.zrange(key, 0, -1)))


def _worker(found: Ledger, rest: str, raw: Any, key: str) -> None:
    name, _, part = rest.partition(":")
    if part == "executions":
        found.holds[name] = set(_texts(raw.smembers(key)))


def _cancels(found: Ledger, name: str, raw: Any, key: str) -> None:
    found.cancels[name] = set(_texts(raw.smembers(key)))


def _held(found: Ledger, _: str, raw: Any, key: str) -> None:
    found.held = {name.decode(): int(n) for name, n in raw.zrange(key, 0, -1, withscores=True)}


def _replicas(found: Ledger, _: str, raw: Any, key: str) -> None:
    found.replicas = set(_texts(raw.zrange(key, 0, -1)))


def _environment(found: Ledger, _: str, raw: Any, key: str) -> None:
    finished, failed = raw.hmget(key, "finished", "failed")
    found.totals = Counter(finished=int(finished or 0), failed=int(failed or 0))


def _registry(found: Ledger, rest: str, raw: Any, key: str) -> None:
    kind = key.split(":")[1]
    assert rest == ENV
    found.registered[kind] = set(_texts(raw.zrange(key, 0, -1)))


def _nothing(*_: object) -> None:
    """What is no job's."""


_OWN = f"reuse:{{{ENV}}}:"
_NOTES: dict[str, Callable[[Ledger, str, Any, str], None]] = {
    f"rq:queue:{ENV}": _listed,
    f"{_OWN}urgent": _listed,
    f"{_OWN}waiting:": _waiting,
    f"{_OWN}cancels:": _cancels,
    f"{_OWN}held": _held,
    f"{_OWN}replicas": _replicas,
    f"{_OWN}environment": _environment,
    "rq:job:": _job,
    "rq:results:": _results,
    "rq:executions:": _running,
    "rq:execution:": _execution,
    f"rq:wip:{ENV}": _leases,
    "rq:worker:": _worker,
    **{f"rq:{kind}:": _registry for kind in _REGISTRIES},
    **dict.fromkeys(("rq:workers", "rq:queues"), _nothing),
    **dict.fromkeys(
        (f"{_OWN}{own}" for own in ("replica:", "assigned:", "deaths", "ended")), _nothing
    ),
}
