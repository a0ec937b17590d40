"""Facts about a fleet as Redis has them: replicas, hosts, deaths, and the snapshot of them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from reuse_queue.policy import ReusePolicy

FORMAT = 1
"""Of the records that we write: raised when a release that knows no newer one would misread them.

Fields that are added and may be ignored do not raise it. What is older is read by every release;
a record without a format is of 1.
"""


class ReplicaState(StrEnum):
    """The life of a replica, in order."""

    ORDERED = "ordered"
    """The scaler wants it; its host's agent has not started it yet."""
    STARTING = "starting"
    """Its process runs, its on_start hooks have not returned."""
    READY = "ready"
    """It claims jobs."""
    DRAINING = "draining"
    """It claims no more and finishes what it holds; may still be un-drained."""
    STOPPING = "stopping"
    """It holds nothing and runs its on_stop hooks; past recall."""


class DrainReason(StrEnum):
    """Why a replica drains; only those for want of demand may be un-drained."""

    SCALE_DOWN = "scale-down"
    IDLE = "environment idle"
    VERSION = "new version"
    OPERATOR = "operator"
    HOST = "host stops"


class EnvironmentState(StrEnum):
    """Whether an environment keeps replicas at all."""

    ACTIVE = "active"
    DORMANT = "dormant"


@dataclass(frozen=True, kw_only=True, slots=True)
class Replica:
    """One worker process, wanted or running."""

    name: str
    environment: str
    host: str
    version: str
    state: ReplicaState
    ordered_at: datetime
    pid: int = 0
    ready_at: datetime | None = None
    idle_since: datetime | None = None
    """Since when it holds no job; None while it holds one or is not ready."""
    held: int = 0
    """Jobs it holds."""
    jobs_done: int = 0
    drain_reason: DrainReason | None = None
    lease_until: datetime | None = None
    format: int = FORMAT
    """Of its record: above FORMAT, a newer release ordered it, and nothing else here holds."""


FENCED = "fenced itself: its lease was lost, or Redis out of reach"
LEFT_BEHIND = "it ended with the agent before this one"
_OUTER = ("lease ran out", FENCED, LEFT_BEHIND)


@dataclass(frozen=True, kw_only=True, slots=True)
class Death:
    """The end of a replica that was not asked to end."""

    replica: str
    host: str
    version: str
    at: datetime
    cause: str
    """In words: "killed by SIGKILL", "exit code 3", "out of memory", "lease ran out" …"""
    was_ready: bool
    age: timedelta
    """From its order to its death."""
    detail: str = ""
    """A traceback, where there is one (a failing on_start hook)."""
    held: int = 0
    """Jobs that it held."""

    @property
    def by_surroundings(self) -> bool:
        """Whether its host, its agent, its network or Redis went: it says nothing of the code."""
        return any(each in self.cause for each in _OUTER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """A live host agent."""

    name: str
    agent: str
    """The agent's own id, new with every start of it."""
    max_replicas: int
    offers: dict[str, str] = field(default_factory=dict)
    """Environment name → the version that this host can start."""
    draining: bool = False
    lease_until: datetime | None = None
    broken: dict[str, str] = field(default_factory=dict)
    """Target or environment → traceback of why it cannot be loaded here."""
    format: int = FORMAT
    """Of its record: above FORMAT, its agent is of a newer release, and it offers nothing to us."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvironmentRecord:
    """What is known of an environment, without its replicas."""

    name: str
    state: EnvironmentState = EnvironmentState.ACTIVE
    active_since: datetime | None = None
    """Since when it has been ACTIVE, this time."""
    policy: ReusePolicy | None = None
    """As last announced; None where no agent or application ever announced one."""
    override: tuple[int, int] | None = None
    """(min, max) replicas that an operator set in place of the policy's."""
    paused: bool = False
    drained: bool = False
    suspended: bool = False
    """`rq suspend` holds all workers back, those of all environments."""
    keep_warm: bool = False
    target: str = ""
    """`module:attribute`, as an agent was told it."""
    module: str = ""
    """The module that creates the environment."""
    serializer: str = "json"
    tasks: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    """Versions that live hosts offer, oldest first: the last one is current."""
    degraded: str = ""
    """Why it cannot start replicas, or empty."""

    @property
    def bounds(self) -> tuple[int, int]:
        """(min, max) replicas now in force; (0, 0) without a policy."""
        if self.override is not None:
            return self.override
        return (self.policy.min_replicas, self.policy.max_replicas) if self.policy else (0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Everything that one scaling decision about one environment rests on, read in one step."""

    at: datetime
    """Redis's clock."""
    environment: EnvironmentRecord
    backlog: int = 0
    """Jobs that wait in the queue, and scheduled ones that are due."""
    claimed: int = 0
    """Jobs that replicas hold."""
    waiting: int = 0
    """Of those, parents that only await their children."""
    scheduled: int = 0
    """Jobs due in the future: no demand."""
    replicas: tuple[Replica, ...] = ()
    deaths: tuple[Death, ...] = ()
    """The newest first, at most 50."""
    finished_total: int = 0
    failed_total: int = 0

    @property
    def demand(self) -> int:
        """Jobs that want a slot now."""
        return self.backlog + self.claimed - self.waiting


class ActionKind(Enum):
    """What a decision does to one replica."""

    START = "start"
    DRAIN = "drain"
    UNDRAIN = "undrain"


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One order."""

    kind: ActionKind
    replica: str
    host: str = ""
    version: str = ""
    reason: DrainReason | None = None
    force: bool = False
    """Drain even while it holds jobs (it finishes them)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What the scaler does about one environment, and why, in words."""

    environment: str
    state: EnvironmentState
    want: int = 0
    supply: int = 0
    demand: int = 0
    actions: tuple[Action, ...] = ()
    reason: str = ""
    unschedulable: str = ""
    degraded: str = ""
    at: datetime | None = None

    @property
    def changes(self) -> bool:
        """Whether it does anything worth recording."""
        return bool(self.actions)
