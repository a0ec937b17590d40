"""Reconcile: what the books say against what runs here → what to do. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from reuse_queue.facts import FORMAT, LEFT_BEHIND, Replica, ReplicaState


class Do(Enum):
    """What an agent can do about a replica."""

    START = "start"
    """Start its process."""
    TERMINATE = "terminate"
    """Tell its process to end."""
    KILL = "kill"
    END = "end"
    """Take it off the books: there is no process of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deed:
    """One thing to do, and why, in words."""

    do: Do
    replica: str
    why: str = ""
    asked: bool = True
    """Its end is no fault of anything here: it counts as no death."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A replica's process."""

    age: timedelta
    """Since this agent saw its order."""
    told: bool = False
    """It was told to end."""
    unlisted_for: timedelta | None = None
    """How long it has been missing from the books; None while it is on them."""
    stopping_for: timedelta | None = None
    """How long it has been STOPPING; None before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Here:
    """What this host can do."""

    offers: Mapping[str, str] = field(default_factory=dict)
    """Environment → the version that can be started."""
    loading: Collection[str] = ()
    """Environments that will be on offer in a moment."""
    unsettled: Collection[str] = ()
    """Replicas whose process is just being started, or whose end is just being reported."""
    draining: bool = False
    start_timeout: timedelta
    stop_timeout: timedelta
    """How long on_stop hooks may take."""
    off_books_grace: timedelta
    """How long a replica that is off the books may take to fence itself."""


def reconcile(
    books: Iterable[Replica], running: Mapping[str, Running], here: Here
) -> Iterator[Deed]:
    """Yield what brings the processes here in line with the books, and the other way round."""
    listed = set()
    for replica in books:
        listed.add(replica.name)
        if replica.name in here.unsettled:
            continue
        process = running.get(replica.name)
        deed = _without(replica, here) if process is None else _with(replica, process, here)
        if deed is not None:
            yield deed
    for name, process in running.items():
        if name not in listed:
            yield from _unlisted(name, process, here)


def _without(replica: Replica, here: Here) -> Deed | None:
    name, env = replica.name, replica.environment
    if replica.format > FORMAT:
        why = (
            f"its order is of a newer release of reuse_queue (data format {replica.format}; this "
            f"agent knows {FORMAT}): upgrade it on this host"
        )
        return Deed(do=Do.END, replica=name, why=why, asked=False)
    if replica.state is not ReplicaState.ORDERED:
        return Deed(do=Do.END, replica=name, why=LEFT_BEHIND)
    if here.draining:
        return Deed(do=Do.END, replica=name, why="its host stops")
    if here.offers.get(env) == replica.version:
        return Deed(do=Do.START, replica=name)
    if env in here.loading:
        return None
    return Deed(do=Do.END, replica=name, why=f"its host has no version {replica.version} now")


def _with(replica: Replica, process: Running, here: Here) -> Deed | None:
    over = _over_limit(replica, process, here)
    return Deed(do=Do.KILL, replica=replica.name, why=over) if over else None


def _over_limit(replica: Replica, process: Running, here: Here) -> str:
    """Return in words which limit its hooks are over, or nothing."""
    if replica.state is ReplicaState.STOPPING:
        if process.stopping_for is not None and process.stopping_for > here.stop_timeout:
            return f"on_stop hooks took longer than {_s(here.stop_timeout)}"
        return ""
    # Drained before it was ready, it may hang in its hooks all the same.
    waited_for = replica.state is not ReplicaState.READY and replica.ready_at is None
    if waited_for and process.age > here.start_timeout:
        return f"not ready within {_s(here.start_timeout)}"
    return ""


def _unlisted(name: str, process: Running, here: Here) -> Iterator[Deed]:
    """Yield the end of a process that nobody counts on: its jobs are others' by now."""
    if not process.told:
        yield Deed(do=Do.TERMINATE, replica=name, why="off the books")
    elif process.unlisted_for is not None and process.unlisted_for > here.off_books_grace:
        yield Deed(do=Do.KILL, replica=name, why="off the books, and still running")


def _s(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"
