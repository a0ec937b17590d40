"""Scaling: what the scaler reads and writes. All methods return steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from reuse_queue.broker import codec, records
from reuse_queue.broker.connection import Command, Step, Value, call, command
from reuse_queue.broker.decisions import action_text, decision_text, decisions
from reuse_queue.broker.keys import Keys
from reuse_queue.errors import LeadLost, NewerFormat, UnknownEnvironment
from reuse_queue.facts import FORMAT, Action, Decision, Host, Replica, Snapshot
from reuse_queue.settings import Settings

_DEATHS = 50
_SUPERSEDED = -1


class Scaling:
    """Lead, take snapshots, apply decisions, and what operators set for an environment."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._settings = settings

    # -- leading ----------------------------------------------------------------------------

    def lead(self, token: str, ttl: timedelta) -> Step[int]:
        """Take or keep the lead; return the fencing number, 0 where another one leads."""
        keys = (self._keys.leader(), self._keys.fence())
        reply = yield call("lead", keys, token, records.milliseconds(ttl))
        return int(reply)

    def resign(self, token: str) -> Step[None]:
        """Give the lead up, if it is held."""
        yield call("resign", (self._keys.leader(),), token)

    def led(self) -> Step[bool]:
        """Return whether a scaler leads."""
        return bool((yield command("EXISTS", self._keys.leader())))

    # -- looking ----------------------------------------------------------------------------

    def snapshot(self, env: str, *, poke: bool) -> Step[Snapshot]:
        """Read everything that a decision about one environment needs, in one script.

        `poke` (the scaler; not a mere viewer): ask to be woken by the next enqueue.

        Raises:
            UnknownEnvironment: nobody ever announced it and it has no queue.
            NewerFormat: a newer release has announced it, or ordered a replica of it.
        """
        seen, reply = yield [
            call("hosts", (self._keys.hosts(),), self._keys.host("")),
            self._snapshot(env, poke=poke),
        ]
        found = _snapshot(env, reply, [records.host(each) for each in seen])
        if found is None:
            raise UnknownEnvironment(f"there is no environment {env!r}")
        return found

    def glance(self, env: str, hosts: Sequence[Host], *, poke: bool) -> Step[Snapshot | None]:
        """Return what `snapshot` does, given the live hosts; None for an unknown environment."""
        reply = yield self._snapshot(env, poke=poke)
        return _snapshot(env, reply, hosts)

    def _snapshot(self, env: str, *, poke: bool) -> Command:
        keys = self._keys
        its = (
            keys.environment(env),
            keys.queue(env),
            keys.urgent(env),
            keys.registry("scheduled", env),
            keys.replicas(env),
            keys.deaths(env),
            keys.versions(env),
            keys.queues(),
            keys.suspended(),
        )
        return call("snapshot", its, f"{keys.prefix}:", keys.own(env), int(poke), _DEATHS)

    # -- deciding ---------------------------------------------------------------------------

    def apply(self, token: str, decision: Decision) -> Step[int]:
        """Carry a decision out, if `token` still leads; return how many actions took effect.

        Every action is a compare-and-set: only an idle READY replica is drained (unless forced),
        only a DRAINING one un-drained, only on a live host one started; DORMANT only while the
        demand is still 0. The decision goes to the environment's stream (with its actions that
        took effect) when it changes something or its reason differs from the last one's. Wakes
        the agents and replicas concerned.

        Raises:
            LeadLost: another scaler leads; nothing was written.
        """
        keys, env = self._keys, decision.environment
        reply = yield call(
            "apply",
            (
                keys.replicas(env),
                keys.held(env),
                keys.environment(env),
                keys.hosts(),
                keys.leader(),
                keys.decisions(env),
                keys.queue(env),
                keys.urgent(env),
                keys.registry("scheduled", env),
            ),
            f"{keys.prefix}:",
            keys.own(env),
            env,
            keys.wake_channel(),
            keys.orders_channel(""),
            records.milliseconds(self._settings.lease),
            keys.host(""),
            token,
            decision_text(decision),
            *(word for action in decision.actions for word in _words(action)),
        )
        if reply == _SUPERSEDED:
            raise LeadLost
        return int(reply)

    def decisions(self, env: str, count: int) -> Step[list[Decision]]:
        """Return the newest decisions, newest first."""
        stream = self._keys.decisions(env)
        reply = yield command("XREVRANGE", stream, "+", "-", "COUNT", count)
        return list(decisions(reply))

    # -- operators --------------------------------------------------------------------------

    def pause(self, env: str, *, paused: bool) -> Step[None]:
        """Let the replicas stay and claim nothing; or let them claim again."""
        return self._operate(env, "paused", records.flag(on=paused))

    def drain_environment(self, env: str, *, drained: bool) -> Step[None]:
        """Let all replicas finish and go, and start none; or allow them again."""
        return self._operate(env, "drained", records.flag(on=drained))

    def override(self, env: str, bounds: tuple[int, int] | None) -> Step[None]:
        """Set (min, max) replicas in place of the policy's; None: the policy's again.

        A minimum above 0 wakes a dormant environment: whoever asks for replicas gets them.
        """
        text = "" if bounds is None else f"{bounds[0]},{bounds[1]}"
        return self._operate(env, "override", text, rouse=bool(bounds and bounds[0]))

    def _operate(self, env: str, field: str, value: str, *, rouse: bool = False) -> Step[None]:
        keys = self._keys
        its = (keys.environments(), keys.environment(env))
        yield call("operate", its, env, keys.wake_channel(), field, value, int(rouse))


def _snapshot(env: str, reply: list[Any], hosts: Sequence[Host]) -> Snapshot | None:
    if not reply:
        return None
    now, known, backlog, claimed, scheduled, rows, deaths, versions, waiting = reply
    found = records.fields(known)
    replicas = tuple(records.replicas(env, rows))
    problem = _too_new(env, found, replicas)
    if problem is not None:
        raise problem
    offered = {host.offers.get(env) for host in hosts}
    return Snapshot(
        at=datetime.fromtimestamp(now / 1000, UTC),
        environment=records.environment(
            env, found, [text for each in versions if (text := codec.name(each)) in offered]
        ),
        backlog=backlog,
        claimed=claimed,
        waiting=waiting,
        scheduled=scheduled,
        replicas=replicas,
        deaths=tuple(map(records.death, deaths)),
        finished_total=records.whole(found.get("finished")),
        failed_total=records.whole(found.get("failed")),
    )


def _too_new(env: str, found: records.Fields, replicas: Sequence[Replica]) -> NewerFormat | None:
    """Return why a snapshot can't be relied on: not even by a scaler that would do nothing."""
    todo = "upgrade it where this is read: the scaler, or the command"
    ordered = next((each for each in replicas if each.format > FORMAT), None)
    if ordered is not None:
        return records.newer(f"replica {ordered.name}", ordered.format, todo)
    return records.too_new(found, f"environment {env}", todo)


def _words(action: Action) -> tuple[Value, ...]:
    return (
        action.kind.value,
        action.replica,
        action.host,
        action.version,
        action.reason.value if action.reason else "",
        int(action.force),
        action_text(action),
    )
