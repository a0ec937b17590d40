"""Fleet: how replicas and host agents make themselves known. All methods return steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reuse_queue.broker.connection import Step
from reuse_queue.broker.keys import Keys
from reuse_queue.facts import DrainReason, EnvironmentRecord, Host, Replica, ReplicaState
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


class Fleet:
    """Announce environments and hosts, start, beat and end replicas."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._settings = settings

    # -- environments -----------------------------------------------------------------------

    def announce(self, record: EnvironmentRecord, version: str = "") -> Step[None]:
        """Write what an application or (with a version) an agent knows of an environment.

        Operators' settings (override, paused, drained) and the state are left as they are; a new
        environment starts ACTIVE. An application (no version) does not overwrite what an agent
        announced.
        """
        raise NotImplementedError

    def environments(self) -> Step[list[str]]:
        """Return the names of all environments, sorted."""
        raise NotImplementedError

    # -- hosts ------------------------------------------------------------------------------

    def host_sync(self, host: Host) -> Step[bool]:
        """Write and renew a host's record; False where another live agent has that name."""
        raise NotImplementedError

    def host_gone(self, host: str, agent: str) -> Step[None]:
        """Take a host off the books, if it is still that agent's."""
        raise NotImplementedError

    def hosts(self) -> Step[list[Host]]:
        """Return the hosts whose lease has not run out."""
        raise NotImplementedError

    def assigned(self, host: str, envs: Sequence[str]) -> Step[list[Replica]]:
        """Return the replicas of some environments that belong on a host, wanted or running."""
        raise NotImplementedError

    # -- replicas ---------------------------------------------------------------------------

    def register(self, env: str, name: str, pid: int, details: Mapping[str, str]) -> Step[bool]:
        """ORDERED → STARTING, and the worker registration as rq has it; False: not wanted.

        `details`: hostname, ip_address, python_version … for rq's worker hash.
        """
        raise NotImplementedError

    def ready(self, env: str, name: str) -> Step[bool]:
        """STARTING → READY; wakes the scaler. False: off the books."""
        raise NotImplementedError

    def beat(self, env: str, name: str) -> Step[Beat]:
        """Extend a replica's lease and all its jobs', and bring its orders."""
        raise NotImplementedError

    def drain(self, env: str, name: str, reason: DrainReason) -> Step[bool]:
        """READY or STARTING → DRAINING, whatever it holds; False: no such replica."""
        raise NotImplementedError

    def depart(self, env: str, name: str) -> Step[bool]:
        """DRAINING → STOPPING, if it still is and holds nothing; False: it was un-drained."""
        raise NotImplementedError
