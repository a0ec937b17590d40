"""decide: what one environment should have now. Pure: the clock is the snapshot's."""

from __future__ import annotations

from datetime import timedelta

from reuse_queue.facts import Action, DrainReason, EnvironmentState, ReplicaState, Snapshot
from reuse_queue.policy import ReusePolicy
from reuse_queue.scaler import words
from reuse_queue.scaler.changes import drains, recalled, replaced, spared, starts
from reuse_queue.scaler.demand import Demand
from reuse_queue.scaler.memory import Memory, observed
from reuse_queue.scaler.plan import Plan
from reuse_queue.scaler.view import View, view

START_TIMEOUT = timedelta(seconds=300)


def decide(
    seen: Snapshot,
    memory: Memory | None,
    *,
    broken: str = "",
    start_timeout: timedelta = START_TIMEOUT,
) -> tuple[Plan, Memory]:
    """Return what an environment should have, and what to remember for the next look.

    Args:
        seen: the environment as it is.
        memory: what the last call returned; None at the first look of a new leader, which then
            holds: it drains nothing for want of demand before it has watched for long enough.
        broken: why no live host can load the environment, or ''.
        start_timeout: how long a replica may take to be ready and still count as supply.
    """
    memory = observed(seen, memory)
    found = view(seen, memory.recovered, start_timeout)
    degraded = broken or (words.degraded(found.current, found.row) if found.row.degraded else "")
    record = seen.environment
    policy = record.policy
    if policy is None or record.drained or record.paused or record.suspended:
        return _halted(found, policy, degraded), memory
    if _at_rest(seen, memory, policy):
        return _asleep(found, policy, degraded), memory
    demand = Demand.of(seen, policy)
    memory = memory.wanting(seen.at, demand.want, policy.get_scaledown_ttl())
    return _serving(found, memory, demand, degraded), memory


def _halted(found: View, policy: ReusePolicy | None, degraded: str) -> Plan:
    """Return the plan for an environment that is not to be scaled."""
    seen = found.seen
    record = seen.environment
    actions: tuple[Action, ...] = ()
    if record.drained:
        rest = why = "an operator drained it"
        leaving = (each for each in seen.replicas if each.state is not ReplicaState.STOPPING)
        actions = drains(
            (each for each in leaving if each.drain_reason is not DrainReason.OPERATOR),
            DrainReason.OPERATOR,
            force=True,
        )
    elif policy is None:
        rest = why = "nobody has announced a policy for it"
    else:
        whose = "an operator paused it" if record.paused else "`rq suspend` holds all workers back"
        rest = why = f"{whose}: its replicas stay, and none is started"
    return Plan(
        environment=record.name,
        state=record.state,
        want=0 if policy is None or record.drained else Demand.of(seen, policy).want,
        supply=len(found.live),
        demand=seen.demand,
        actions=actions,
        why=why,
        rest=rest,
        degraded=degraded,
    )


def _at_rest(seen: Snapshot, memory: Memory, policy: ReusePolicy) -> bool:
    record = seen.environment
    if seen.backlog or seen.claimed or record.keep_warm:
        return False
    if record.state is EnvironmentState.DORMANT:
        return True
    since = max(memory.busy_at, record.active_since or memory.busy_at)
    return seen.at - since >= policy.get_idle_ttl()


def _asleep(found: View, policy: ReusePolicy, degraded: str) -> Plan:
    return Plan(
        environment=found.seen.environment.name,
        state=EnvironmentState.DORMANT,
        supply=len(found.live),
        actions=drains(found.live, DrainReason.IDLE),
        why=f"no job for {words.seconds(policy.get_idle_ttl())}",
        rest="dormant until its next job",
        degraded=degraded,
    )


def _serving(found: View, memory: Memory, demand: Demand, degraded: str) -> Plan:
    seen = found.seen
    # A new version takes over even where nothing is wanted at the moment.
    goal = max(demand.want, min(1, demand.high)) if found.old else demand.want
    undrains = recalled(found, goal)
    wanted = starts(found, demand, goal - len(undrains))
    gone = replaced(found, goal)
    idle = spared(found, memory, demand, gone)
    count = sum(each.count for each in wanted)
    why = words.calls_for(demand) + ", " + words.there(len(found.live))
    if found.old:
        why = f"version {found.current} takes over; {why}"
    held_back = found.row.count and count < goal - len(found.fresh) - len(undrains)
    return Plan(
        environment=seen.environment.name,
        state=EnvironmentState.ACTIVE,
        want=demand.want,
        supply=len(found.live),
        demand=seen.demand,
        starts=wanted,
        minimum=max(0, min(count, demand.low - len(found.live) - len(undrains))),
        actions=(
            *undrains,
            *drains(gone, DrainReason.VERSION, force=True),
            *drains(idle, DrainReason.SCALE_DOWN),
        ),
        why=why,
        rest=words.waiting(found.row) if held_back else words.standing(demand, len(found.live)),
        degraded=degraded,
    )
