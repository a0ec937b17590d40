"""What an environment waits for now, in sentences; pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from reuse_queue.cli.deaths import dying
from reuse_queue.cli.words import duration, plural
from reuse_queue.facts import EnvironmentState, Host, Replica, ReplicaState, Snapshot
from reuse_queue.policy import ReusePolicy


def waits(seen: Snapshot, hosts: list[Host]) -> list[str]:
    """Return what keeps an environment from doing more, or what it will do next; never empty."""
    return [*_held_back(seen, hosts), *_under_way(seen), *_next(seen)] or ["nothing: it is at rest"]


def _held_back(seen: Snapshot, hosts: list[Host]) -> Iterator[str]:
    record = seen.environment
    name, jobs = record.name, plural(seen.backlog, "job")
    if record.degraded:
        yield f"it is degraded: {record.degraded.strip().splitlines()[-1]} (see `env show {name}`)"
    elif died := dying(seen):
        yield f"a replica that can start: {died} (see `env show {name}`)"
    if record.drained:
        yield f"`env resume {name}`: an operator drained it, and {jobs} queued"
    elif record.paused:
        yield f"`env resume {name}`: an operator paused it, and {jobs} queued"
    elif record.suspended:
        yield f"`rq resume`: `rq suspend` holds all workers back, and {jobs} queued"
    if record.policy is None:
        yield "an agent or application that announces it: nobody has, so it has no policy"
    if not any(name in host.offers and not host.draining for host in hosts):
        yield "a host: none that is alive offers it (`reuse-queue agent TARGET` on one)"


def _under_way(seen: Snapshot) -> Iterator[str]:
    for state, text in (
        (ReplicaState.ORDERED, "to be started by its host"),
        (ReplicaState.STARTING, "to be ready (its on_start hooks run)"),
        (ReplicaState.DRAINING, "to finish what it holds, and go"),
        (ReplicaState.STOPPING, "to end (its on_stop hooks run)"),
    ):
        for each in _in(seen, state):
            since = ""
            if state in (ReplicaState.ORDERED, ReplicaState.STARTING):
                since = f", for {duration(seen.at - each.ordered_at)} now"
            yield f"{each.name} {text}{since}"


def _next(seen: Snapshot) -> Iterator[str]:
    policy = seen.environment.policy
    if policy is None:
        return
    if seen.backlog:
        yield from _for_slots(seen, policy)
    elif seen.environment.state is EnvironmentState.DORMANT:
        yield "its next job: it is dormant, and the first enqueue wakes it"
    elif seen.waiting and not seen.demand:
        yield f"the jobs that {plural(seen.waiting, 'job')} of its own wait for"
    elif not seen.demand:
        yield from _for_rest(seen, policy)
    if seen.scheduled:
        yield f"{plural(seen.scheduled, 'job')} due later"


def _for_slots(seen: Snapshot, policy: ReusePolicy) -> Iterator[str]:
    ready = _in(seen, ReplicaState.READY)
    slots = len(ready) * policy.concurrency
    high, busy = seen.environment.bounds[1], seen.claimed - seen.waiting
    taken = f"{busy:,} of {plural(slots, 'slot')} taken" if slots else "no replica is ready"
    limit = f", and {high} is the most replicas it may have" if len(seen.replicas) >= high else ""
    yield f"a free slot for {plural(seen.backlog, 'job')}: {taken}{limit}"


def _for_rest(seen: Snapshot, policy: ReusePolicy) -> Iterator[str]:
    idle = [(each, seen.at - each.idle_since) for each in seen.replicas if each.idle_since]
    low = seen.environment.bounds[0]
    if len(idle) > low:
        longest, span = max(idle, key=lambda pair: pair[1])
        yield _until(f"{longest.name} to be drained", span, policy.get_scaledown_ttl())
    if idle and not seen.environment.keep_warm:
        span = min(span for _, span in idle)
        yield _until("all replicas to be drained (dormant)", span, policy.get_idle_ttl())


def _until(what: str, span: timedelta, ttl: timedelta) -> str:
    left = ttl - span
    when = f"in {duration(left)}" if left > timedelta(0) else "any moment"
    return f"{what} {when}: idle for {duration(span)} of {duration(ttl)}"


def _in(seen: Snapshot, state: ReplicaState) -> list[Replica]:
    return [each for each in seen.replicas if each.state is state]
