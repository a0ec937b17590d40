"""apply: a plan and its placement become a decision. Pure but for the names of new replicas."""

from __future__ import annotations

import os
import re
from datetime import datetime

from reuse_queue.facts import Action, ActionKind, Decision, Replica, ReplicaState
from reuse_queue.scaler import words
from reuse_queue.scaler.place import Placement
from reuse_queue.scaler.plan import Plan

_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")


def decision(plan: Plan, placement: Placement, at: datetime) -> Decision:
    """Return the decision that carries a plan out as far as there is room for it."""
    starts = (
        Action(
            kind=ActionKind.START,
            replica=_name(plan.environment, host),
            host=host,
            version=version,
        )
        for host, version in placement.starts
    )
    actions = (*plan.actions, *starts)
    return Decision(
        environment=plan.environment,
        state=plan.state,
        want=plan.want,
        supply=plan.supply,
        demand=plan.demand,
        actions=actions,
        reason=words.reason(plan, actions),
        unschedulable=placement.unschedulable,
        degraded=plan.degraded,
        at=at,
    )


def ordered(decision: Decision, at: datetime) -> list[Replica]:
    """Return the replicas that a decision starts, as they will be."""
    return [
        Replica(
            name=each.replica,
            environment=decision.environment,
            host=each.host,
            version=each.version,
            state=ReplicaState.ORDERED,
            ordered_at=at,
        )
        for each in decision.actions
        if each.kind is ActionKind.START
    ]


def _name(env: str, host: str) -> str:
    """Return a name that no replica has had: it is an rq worker's name as well."""
    return f"{_UNFIT.sub('-', env)}-{_UNFIT.sub('-', host)}-{os.urandom(4).hex()}"
