"""Which job the running code belongs to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from sys import modules
from typing import Protocol

from reuse_queue.errors import WouldBlock
from reuse_queue.lineage import Lineage


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningJob:
    """The job that a task's code is running for, as its replica claimed it."""

    id: str
    execution: str
    """This execution of it: another one after a retry or a loss has another id."""
    environment: str
    replica: str
    retries_left: int = 0
    deliveries_lost: int = 0
    """How often a replica was lost with this job before."""
    run: str = ""
    """Which run of it: after a loss the same one goes on, a retry is another one."""
    lineage: Lineage = field(default_factory=Lineage, repr=False, compare=False)
    """What the run has called so far."""
    coroutine: bool = False
    """Its code is a coroutine, on a loop that it shares with others."""


class Place(Protocol):
    """A running job's hold on a slot of its replica."""

    def leave(self) -> None:
        """Let others have the slot: one more wait of the job's begins."""

    def enter(self) -> None:
        """End one wait; block until the job has a slot again, if that was its last one."""

    async def aenter(self, *, at_once: bool) -> None:
        """Do what `enter` does on the running loop; `at_once`: without waiting for a slot."""


_PLACE: ContextVar[Place | None] = ContextVar("reuse_queue_place", default=None)
_CURRENT: ContextVar[RunningJob | None] = ContextVar("reuse_queue_job", default=None)


def current_job() -> RunningJob | None:
    """Return the job that the calling code runs for; None outside of one.

    It follows the task into `asyncio` tasks and `asyncio.to_thread`; other threads have none.
    """
    return _CURRENT.get()


@contextmanager
def running(job: RunningJob, place: Place | None = None) -> Iterator[None]:
    """Make `job` the current one for the block's code; None: it keeps its slot while it waits."""
    token, held = _CURRENT.set(job), _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.reset(held)
        _CURRENT.reset(token)


def refuse_to_block() -> None:
    """Raise where a wait that blocks would keep the whole replica from going on.

    Raises:
        WouldBlock: the calling code is a job's coroutine.
    """
    job = _CURRENT.get()
    if job is not None and job.coroutine and _a_loop_runs_here():
        raise WouldBlock


def _a_loop_runs_here() -> bool:
    asyncio = modules.get("asyncio")
    try:
        return asyncio is not None and asyncio.get_running_loop() is not None
    except RuntimeError:
        return False


@contextmanager
def giving_way() -> Iterator[None]:
    """Let other jobs have the running job's slot while the block waits for one of them.

    The block's end waits until the job has a slot again. Outside of a job, and in an environment
    with `yield_slots=False`, it does nothing.

    Raises:
        WouldBlock: the calling code is a job's coroutine, which has to await.
    """
    refuse_to_block()
    place = _PLACE.get()
    if place is None:
        yield
        return
    place.leave()
    try:
        yield
    finally:
        place.enter()


@asynccontextmanager
async def agiving_way() -> AsyncIterator[None]:
    """Do what `giving_way` does, without blocking the loop; who is canceled goes on at once."""
    place = _PLACE.get()
    if place is None:
        yield
        return
    # Whoever runs this has imported it; who only imports an application need not pay for it.
    import asyncio  # noqa: PLC0415

    at_once = False
    place.leave()
    try:
        yield
    except asyncio.CancelledError:
        at_once = True
        raise
    finally:
        await place.aenter(at_once=at_once)
