"""Charge: one replica's process, from its order to its end, as its agent knows it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from reuse_agent.processes import Process
from reuse_agent.reconcile import Running
from reuse_agent.watch import Watch
from reuse_queue.board import SPARE, Board
from reuse_queue.facts import Replica, ReplicaState
from reuse_queue.job import Verdict

_LONGEST_NOTE = 64 * 1024


@dataclass(slots=True, eq=False)
class Charge:
    """A replica in its agent's charge."""

    replica: Replica
    """As last read from the books."""
    board: Board
    note: int
    """Descriptor of the memory in which it leaves what it has to say of its end."""
    since: float = field(default_factory=time.monotonic)
    process: Process | None = None
    """None until it has been started."""
    told: bool = False
    """It was told to end."""
    killed_for: str = ""
    """Why this agent killed it."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """Execution → the verdict it was killed for."""
    watch: Watch = field(default_factory=Watch)
    _unlisted_since: float | None = None
    _stopping_since: float | None = None

    @classmethod
    def of(cls, replica: Replica, slots: int) -> Charge:
        """Return the charge of a replica that was ordered, with a new board and note."""
        return cls(replica, Board.create(slots + SPARE), os.memfd_create("reuse-queue-note"))

    @property
    def name(self) -> str:
        """The replica's name."""
        return self.replica.name

    def listed(self, replica: Replica | None) -> None:
        """Take in what the books say; None: nothing."""
        now = time.monotonic()
        if replica is None:
            self._unlisted_since = self._unlisted_since or now
            return
        self.replica, self._unlisted_since = replica, None
        if replica.state is ReplicaState.STOPPING:
            self._stopping_since = self._stopping_since or now

    def running(self) -> Running:
        """Return what there is to know of the process now."""
        now = time.monotonic()
        return Running(
            age=timedelta(seconds=now - self.since),
            told=self.told,
            unlisted_for=_span(self._unlisted_since, now),
            stopping_for=_span(self._stopping_since, now),
        )

    def ran(self) -> list[str]:
        """Return the executions that the board shows."""
        return [slot.execution for slot in self.board.read()]

    def charged(self, status: int, *, out_of_memory: bool = False) -> Mapping[str, Verdict | None]:
        """Return the executions that its end is charged to, with the verdicts passed on them.

        Where it is known who is to blame, that is nobody else: whose code ran, or for whom it was
        killed, and besides whoever blocked the loop then (or it could go on for ever, at others'
        cost). SIGKILL may come from anywhere, in the middle of anybody's code: unless it was for
        want of memory, that is all that ran.
        """
        ran = self.ran()
        onstage = self.board.onstage()
        foreign = status == -signal.SIGKILL and not out_of_memory
        if self.verdicts:
            ran = [each for each in ran if each in self.verdicts or each == self.watch.blocker]
        elif onstage is not None and not foreign:
            ran = [onstage.execution]
        return {each: self.verdicts.get(each) for each in ran}

    def said(self) -> str:
        """Return what the replica left in its note."""
        return os.pread(self.note, _LONGEST_NOTE, 0).decode("utf-8", "replace")

    def close(self) -> None:
        """Give back the memory."""
        self.board.close()
        os.close(self.note)


def _span(since: float | None, now: float) -> timedelta | None:
    return None if since is None else timedelta(seconds=now - since)
