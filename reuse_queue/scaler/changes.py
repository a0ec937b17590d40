"""changes: which replicas to start, to un-drain and to drain. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import timedelta

from reuse_queue.facts import Action, ActionKind, DrainReason, Replica, ReplicaState
from reuse_queue.scaler.demand import Demand
from reuse_queue.scaler.memory import Memory
from reuse_queue.scaler.plan import Start
from reuse_queue.scaler.view import View

_RECALLABLE = (DrainReason.SCALE_DOWN, DrainReason.IDLE)


def drains(
    replicas: Iterable[Replica], reason: DrainReason, *, force: bool = False
) -> tuple[Action, ...]:
    """Return the orders to drain replicas; unless `force`, only as long as they hold nothing."""
    return tuple(
        Action(
            kind=ActionKind.DRAIN,
            replica=each.name,
            host=each.host,
            version=each.version,
            reason=reason,
            force=force,
        )
        for each in replicas
    )


def recalled(found: View, goal: int) -> tuple[Action, ...]:
    """Return the orders to un-drain what is missing to the goal: warm ones come before new ones."""
    warm = [each for each in found.seen.replicas if _may_return(each, found.current)]
    warm.sort(key=lambda each: (-each.held, each.name))
    return tuple(
        Action(kind=ActionKind.UNDRAIN, replica=each.name, host=each.host, version=each.version)
        for each in warm[: max(0, goal - len(found.fresh))]
    )


def starts(found: View, demand: Demand, goal: int) -> tuple[Start, ...]:
    """Return what is to be started to reach the goal, of the current version if it can start."""
    short = goal - len(found.fresh)
    if found.old:
        short = min(short, demand.high + demand.surge - len(found.live))
    now = found.seen.at
    fresh = found.row.allowed(max(0, short), now, found.young)
    wanted = [Start(version=found.current, count=fresh)] if fresh else []
    if found.row.degraded:
        room = demand.high + demand.surge - len(found.live) - fresh
        missing = min(demand.want - len(found.old) - len(found.proven), room)
        if found.backup and missing > 0:
            wanted.append(Start(version=found.backup, count=missing))
    return tuple(wanted)


def replaced(found: View, goal: int) -> tuple[Replica, ...]:
    """Return the old replicas for which new ones have taken over, those with least work first."""
    if not found.proven:
        return ()
    surplus = len(found.proven) + len(found.old) - goal
    order = sorted(
        found.old, key=lambda each: (each.state is ReplicaState.READY, each.held, each.name)
    )
    return tuple(order[: max(0, surplus)])


def spared(
    found: View, memory: Memory, demand: Demand, gone: Collection[Replica]
) -> tuple[Replica, ...]:
    """Return the idle replicas that nobody has wanted for long enough, longest idle first."""
    now, ttl = found.seen.at, demand.scaledown_ttl
    sure = [each for each in found.sure if each not in gone]
    on_host = Counter(each.host for each in sure)

    def idle_for(replica: Replica) -> timedelta:
        return now - (replica.idle_since or now)

    idle = sorted(
        (each for each in sure if each.state is ReplicaState.READY and not each.held),
        key=lambda each: (
            -(idle_for(each) // timedelta(seconds=1)),
            -on_host[each.host],
            each.name,
        ),
    )
    peak = max(demand.low, min(memory.peak, demand.high))
    # A new leader has to watch for as long as the peak is remembered.
    watched = now - memory.since >= ttl
    spare = max(0, len(sure) - peak) if watched else 0
    victims = [each for each in idle if idle_for(each) >= ttl][:spare]
    # Above the most that may be there, nothing is waited for but the end of their jobs.
    excess = max(0, len(sure) - demand.high - len(victims))
    return (*victims, *[each for each in idle if each not in victims][:excess])


def _may_return(replica: Replica, current: str) -> bool:
    return (
        replica.state is ReplicaState.DRAINING
        and replica.ready_at is not None
        and replica.drain_reason in _RECALLABLE
        and (not current or replica.version == current)
    )
