"""Fleet: how replicas, guests and host agents make themselves known. All methods return steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reuse_queue.broker import codec, records
from reuse_queue.broker.connection import Command, Step, Value, call, command
from reuse_queue.broker.keys import Keys
from reuse_queue.facts import FORMAT, DrainReason, EnvironmentRecord, Host, Replica, ReplicaState
from reuse_queue.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Beat:
    """The answer to a replica's heartbeat."""

    state: ReplicaState | None
    """As the scaler wants it; None: the replica is off the books (its lease was lost)."""
    reason: DrainReason | None = None
    cancel: tuple[str, ...] = ()
    """Executions that are to be canceled."""
    stop_grace_over: bool = False
    """The host stops, and the drain grace is over."""


class Fleet:
    """Announce environments and hosts, start, beat and end replicas."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._lease_ms = records.milliseconds(settings.lease)
        self._lasts_s = round(settings.records_last.total_seconds())
        self._drain_grace_ms = records.milliseconds(settings.drain_grace)

    # -- environments -----------------------------------------------------------------------

    def announce(self, record: EnvironmentRecord, version: str = "") -> Step[None]:
        """Write what an application or (with a version) an agent knows of an environment.

        Operators' settings (override, paused, drained) and the state are left as they are; a new
        environment starts ACTIVE. An application (no version) does not overwrite what an agent
        announced. Wakes the scaler if that was news.

        Raises:
            NewerFormat: a newer release has announced it; nothing was written.
        """
        keys, name = self._keys, record.name
        written = [word for pair in records.announcement(record).items() for word in pair]
        theirs = yield call(
            "announce",
            (keys.environments(), keys.environment(name)),
            name,
            keys.wake_channel(),
            "agent" if version else "application",
            *written,
        )
        if theirs > FORMAT:
            raise records.newer(
                f"environment {name}", theirs, "upgrade it here, where it is announced"
            )

    def environments(self) -> Step[list[str]]:
        """Return the names of all environments that were ever announced, sorted."""
        reply = yield command("SMEMBERS", self._keys.environments())
        return sorted(codec.name(name) for name in reply)

    # -- hosts ------------------------------------------------------------------------------

    def host_sync(self, host: Host, *, takeover: bool = False) -> Step[bool]:
        """Write and renew a host's record; False where another live agent has that name.

        Args:
            host: what the agent can start; its lease lasts `settings.lease` from now.
            takeover: take the name even so; for an agent that knows the other one to be dead.
        """
        keys = self._keys
        reply = yield call(
            "host_sync",
            (keys.hosts(), keys.host(host.name), *(keys.versions(env) for env in host.offers)),
            host.name,
            host.agent,
            int(takeover),
            self._lease_ms,
            keys.wake_channel(),
            keys.host(""),
            json.dumps(host.offers, sort_keys=True),
            json.dumps(host.broken, sort_keys=True),
            host.max_replicas,
            int(host.draining),
            FORMAT,
            *(word for pair in host.offers.items() for word in pair),
        )
        return bool(reply)

    def host_gone(self, host: str, agent: str) -> Step[None]:
        """Take a host off the books, if it is still that agent's."""
        keys = self._keys
        yield call("host_gone", (keys.hosts(), keys.host(host)), host, agent, keys.wake_channel())

    def hosts(self) -> Step[list[Host]]:
        """Return the hosts whose lease has not run out."""
        reply = yield call("hosts", (self._keys.hosts(),), self._keys.host(""))
        return sorted(map(records.host, reply), key=lambda each: each.name)

    def assigned(self, host: str, envs: Sequence[str]) -> Step[list[Replica]]:
        """Return the replicas of some environments that belong on a host, wanted or running."""
        keys, rq = self._keys, f"{self._keys.prefix}:"
        if not envs:
            return []
        replies = yield [
            call("assigned", (keys.replicas(env), keys.assigned(env, host)), rq, keys.own(env))
            for env in envs
        ]
        return [
            replica
            for env, rows in zip(envs, replies, strict=True)
            for replica in records.replicas(env, rows)
        ]

    # -- replicas ---------------------------------------------------------------------------

    def register(self, env: str, name: str, pid: int, details: Mapping[str, str]) -> Step[bool]:
        """ORDERED → STARTING, and the worker registration as rq has it; False: not wanted.

        `details`: hostname, python_version, version (rq's) … for rq's worker hash; the
        ip_address is that of this connection where they have none.
        """
        keys, known = self._keys, {"hostname": "", "version": "", "python_version": "", **details}
        if "ip_address" not in known:
            client = yield command("CLIENT INFO")
            known["ip_address"] = str(client.get("addr", "unknown"))
        its = (keys.workers(), keys.workers_of(env), keys.worker(name))
        words = [word for pair in known.items() for word in pair]
        reply = yield self._on_roll("register", env, its, name, pid, self._lasts_s, *words)
        return bool(reply)

    def ready(self, env: str, name: str) -> Step[bool]:
        """STARTING → READY; wakes the scaler. False: drained, or off the books."""
        reply = yield self._on_roll("ready", env, (self._keys.worker(name),), name)
        return bool(reply)

    def beat(self, env: str, name: str, away: int = 0) -> Step[Beat]:
        """Extend a replica's lease and all its jobs', and bring its orders.

        `away`: how many of them only wait for other jobs.
        """
        keys = self._keys
        reply = yield call(
            "beat",
            (
                keys.replicas(env),
                keys.registry("wip", env),
                keys.replica(env, name),
                keys.cancels(env, name),
            ),
            f"{keys.prefix}:",
            self._lease_ms,
            self._lasts_s,
            name,
            self._drain_grace_ms,
            away,
        )
        if not reply:
            return Beat(state=None)
        state, reason, over, *cancel = reply
        return Beat(
            state=records.choice(ReplicaState, codec.name(state)),
            reason=records.choice(DrainReason, codec.name(reason)),
            cancel=tuple(map(codec.name, cancel)),
            stop_grace_over=bool(over),
        )

    def cancels(self, env: str, name: str) -> Step[frozenset[str]]:
        """Return the executions that a replica is to cancel."""
        reply = yield command("SMEMBERS", self._keys.cancels(env, name))
        return frozenset(map(codec.name, reply))

    def drain(self, env: str, name: str, reason: DrainReason) -> Step[bool]:
        """READY or STARTING → DRAINING, whatever it holds; False: no such replica.

        One that is only ORDERED is off the books at once. The replica and its agent are told.
        """
        reply = yield self._on_roll("drain", env, (), name, reason.value)
        return bool(reply)

    def depart(self, env: str, name: str) -> Step[bool]:
        """DRAINING → STOPPING, if it still is and holds nothing; False: it was un-drained."""
        reply = yield self._on_roll("depart", env, (), name)
        return bool(reply)

    # -- guests -----------------------------------------------------------------------------

    def enlist(self, env: str, name: str, host: str, pid: int) -> Step[None]:
        """Let a worker that nobody ordered claim in an environment; renew it like a replica.

        It may enlist in several under one name. The scaler neither counts nor drains it; if its
        lease runs out, reclaim takes it off the books.
        """
        keys = self._keys
        its = (keys.replicas(env), keys.held(env), keys.replica(env, name))
        yield call("enlist", its, name, self._lease_ms, env, host, pid)

    def leave(self, env: str, name: str) -> Step[None]:
        """Take a guest that has released all it held off the books."""
        keys = self._keys
        books = (keys.replicas(env), keys.held(env), keys.ended(env))
        yield call("leave", (*books, keys.replica(env, name), keys.cancels(env, name)), name)

    def _on_roll(self, script: str, env: str, its: Sequence[str], *words: Value) -> Command:
        """Return the call of a script that changes what a replica is to do."""
        keys = self._keys
        roll = (keys.replicas(env), keys.held(env), keys.environment(env))
        names = (
            f"{keys.prefix}:",
            keys.own(env),
            env,
            keys.wake_channel(),
            keys.orders_channel(""),
        )
        return call(script, (*roll, *its), *names, *words)
