"""The shapes of `--json`: what every reading command prints, and keeps printing.

Times are ISO 8601 in UTC, or null; durations are seconds; counts are whole numbers. Fields may be
added, and none goes away or changes its meaning within a major version.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from reuse_queue.facts import Death, Decision, Host, Replica, Snapshot
from reuse_queue.job import Job, JobStatus
from reuse_queue.policy import ReusePolicy

Shape: TypeAlias = dict[str, Any]


def environment(seen: Snapshot) -> Shape:
    """Return one environment as `env list --json` has it.

    name, state (active | dormant), paused, drained, suspended, keep_warm, degraded (why, or ""),
    bounds {min, max} in force, policy (null where none was announced), override {min, max} | null,
    backlog, claimed, waiting (of those claimed, how many only wait for other jobs), scheduled,
    finished_total, failed_total, replicas {ordered, starting, ready, draining, stopping}.
    """
    record = seen.environment
    low, high = record.bounds
    return {
        "name": record.name,
        "state": record.state.value,
        "paused": record.paused,
        "drained": record.drained,
        "suspended": record.suspended,
        "keep_warm": record.keep_warm,
        "degraded": record.degraded,
        "bounds": {"min": low, "max": high},
        "policy": policy(record.policy) if record.policy else None,
        "override": _pair(record.override),
        "backlog": seen.backlog,
        "claimed": seen.claimed,
        "waiting": seen.waiting,
        "scheduled": seen.scheduled,
        "finished_total": seen.finished_total,
        "failed_total": seen.failed_total,
        "replicas": tally(seen.replicas),
    }


def environment_whole(seen: Snapshot, hosts: list[Host], counts: Mapping[JobStatus, int]) -> Shape:
    """Return one environment as `env show --json` has it.

    All of `environment`, but `replicas` is a list (see `replica`), and: target, module,
    serializer, tasks, versions (oldest first), hosts [{name, version, broken}] that offer it or
    cannot load it, jobs {status: count}, deaths (newest first, see `death`).
    """
    record = seen.environment
    return environment(seen) | {
        "target": record.target,
        "module": record.module,
        "serializer": record.serializer,
        "tasks": list(record.tasks),
        "versions": list(record.versions),
        "hosts": [
            {
                "name": host.name,
                "version": host.offers.get(record.name),
                "broken": breakage(host, record.name, record.target),
            }
            for host in hosts
            if record.name in host.offers or breakage(host, record.name, record.target)
        ],
        "jobs": {status.value: number for status, number in counts.items()},
        "replicas": [replica(each) for each in seen.replicas],
        "deaths": [death(each) for each in seen.deaths],
    }


def policy(of: ReusePolicy) -> Shape:
    """Return a policy: min, max, concurrency, idle_ttl, scaledown_ttl."""
    return {
        "min": of.min_replicas,
        "max": of.max_replicas,
        "concurrency": of.concurrency,
        "idle_ttl": seconds(of.get_idle_ttl()),
        "scaledown_ttl": seconds(of.get_scaledown_ttl()),
    }


def tally(replicas: tuple[Replica, ...]) -> dict[str, int]:
    """Return how many replicas are in each state."""
    states = [each.state.value for each in replicas]
    known = ("ordered", "starting", "ready", "draining", "stopping")
    return {state: states.count(state) for state in known}


def replica(of: Replica) -> Shape:
    """Return one replica: name, environment, host, version, state, pid, held, jobs_done, times."""
    return {
        "name": of.name,
        "environment": of.environment,
        "host": of.host,
        "version": of.version,
        "state": of.state.value,
        "pid": of.pid,
        "held": of.held,
        "jobs_done": of.jobs_done,
        "drain_reason": of.drain_reason.value if of.drain_reason else None,
        "ordered_at": iso(of.ordered_at),
        "ready_at": iso(of.ready_at),
        "idle_since": iso(of.idle_since),
        "lease_until": iso(of.lease_until),
    }


def death(of: Death) -> Shape:
    """Return the end of a replica that was not asked to end."""
    return {
        "replica": of.replica,
        "host": of.host,
        "version": of.version,
        "at": iso(of.at),
        "cause": of.cause,
        "detail": of.detail,
        "was_ready": of.was_ready,
        "age": seconds(of.age),
        "held": of.held,
    }


def host(of: Host) -> Shape:
    """Return one host: name, max_replicas, offers {environment: version}, draining, broken."""
    return {
        "name": of.name,
        "max_replicas": of.max_replicas,
        "offers": of.offers,
        "draining": of.draining,
        "broken": of.broken,
        "lease_until": iso(of.lease_until),
    }


def decision(of: Decision) -> Shape:
    """Return one decision: at, state, want, supply, demand, actions, and the reasons in words."""
    return {
        "environment": of.environment,
        "at": iso(of.at),
        "state": of.state.value,
        "want": of.want,
        "supply": of.supply,
        "demand": of.demand,
        "actions": [
            {
                "kind": each.kind.value,
                "replica": each.replica,
                "host": each.host,
                "version": each.version,
                "reason": each.reason.value if each.reason else None,
            }
            for each in of.actions
        ],
        "reason": of.reason,
        "unschedulable": of.unschedulable,
        "degraded": of.degraded,
    }


def job(of: Job) -> Shape:
    """Return one job as `jobs list --json` has it; `jobs show --json` adds result and error."""
    return {
        "id": of.id,
        "environment": of.environment,
        "status": of.status.value,
        "task": of.task,
        "description": of.description,
        "replica": of.replica or None,
        "created_at": iso(of.created_at),
        "enqueued_at": iso(of.enqueued_at),
        "started_at": iso(of.started_at),
        "ended_at": iso(of.ended_at),
        "due_at": iso(of.due_at),
        "timeout": seconds(of.timeout),
        "queue_timeout": seconds(of.queue_timeout),
        "deadline": seconds(of.deadline),
        "start_by": iso(of.start_by),
        "end_by": iso(of.end_by),
        "retries_left": of.retries_left,
        "deliveries_lost": of.deliveries_lost,
        "deaths": list(of.deaths),
        "decided": of.decided.verdict.value if of.decided else None,
        "dependencies": list(of.dependencies),
        "parent": of.parent or None,
        "detached": of.detached,
        "children": of.children,
    }


def breakage(of: Host, *names: str) -> str:
    """Return why a host cannot load an environment, known by its name or its target; or empty."""
    return next((of.broken[name] for name in names if name in of.broken), "")


def iso(at: datetime | None) -> str | None:
    """Return a time in UTC as text."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds") if at else None


def seconds(span: timedelta | None) -> float | None:
    """Return a duration in seconds."""
    return None if span is None else span.total_seconds()


def _pair(given: tuple[int, int] | None) -> Shape | None:
    return None if given is None else {"min": given[0], "max": given[1]}
