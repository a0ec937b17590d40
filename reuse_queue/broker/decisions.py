"""Decisions ⇄ the JSON that an environment's stream keeps of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reuse_queue.broker.records import choice, moment
from reuse_queue.facts import Action, ActionKind, Decision, DrainReason, EnvironmentState


def decision_text(decision: Decision) -> str:
    """Return a decision without its actions: those that take effect are added by lua/apply.lua."""
    return json.dumps(
        {
            "environment": decision.environment,
            "state": decision.state.value,
            "want": decision.want,
            "supply": decision.supply,
            "demand": decision.demand,
            "reason": decision.reason,
            "unschedulable": decision.unschedulable,
            "degraded": decision.degraded,
            "at": round(decision.at.timestamp() * 1000) if decision.at else 0,
        }
    )


def action_text(action: Action) -> str:
    """Return an action as it stands in a decision."""
    return json.dumps(
        {
            "kind": action.kind.value,
            "replica": action.replica,
            "host": action.host,
            "version": action.version,
            "reason": action.reason.value if action.reason else "",
            "force": action.force,
        }
    )


def decisions(entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> Iterator[Decision]:
    """Yield the decisions that a stream's entries tell of; what cannot be read is left out."""
    for _, entry in entries:
        try:
            yield _decision(entry[b"decision"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue


def _decision(text: bytes) -> Decision:
    found = json.loads(text)
    return Decision(
        environment=found["environment"],
        state=EnvironmentState(found["state"]),
        want=found["want"],
        supply=found["supply"],
        demand=found["demand"],
        actions=tuple(map(_action, found["actions"])),
        reason=found["reason"],
        unschedulable=found["unschedulable"],
        degraded=found["degraded"],
        at=moment(found["at"]),
    )


def _action(found: dict[str, Any]) -> Action:
    return Action(
        kind=ActionKind(found["kind"]),
        replica=found["replica"],
        host=found["host"],
        version=found["version"],
        reason=choice(DrainReason, found["reason"]),
        force=found["force"],
    )
