"""The board: a few bytes of shared memory in which a replica shows its agent what it runs.

A replica that holds the GIL or blocks its loop cannot answer; its agent reads here which
executions run and until when they may, to kill it when one is overdue and to know, after its
death, which jobs were really running, and whose code was at it.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from enum import IntEnum

_SLOT = struct.Struct("=d32sB7x")
# Behind them, executions that are held and have not begun; the first is a claim on its way.
_UNBEGUN = struct.Struct("=32s")
MOST_UNBEGUN = 256
SPARE = 32
"""Slots beyond a policy's concurrency: for what is told to end while it waits without one."""
CLAIM_LENGTH = 24
"""How much of their executions the jobs of one claim have in common."""
# In front of them the number of the one whose code the loop runs, from 1; 0 for none. Then the only
# thing that the agent writes: when it last renewed the replica's lease.
_ONSTAGE, _HEAD = 8, 16
_UNLIMITED = float("inf")


class Overdue(IntEnum):
    """What it means when a slot's deadline passes."""

    TIMEOUT = 0
    CANCELED = 1
    DEADLINE = 2
    HALTED = 3
    """rq's stop-job."""


# What is read may be half written.
_MEANINGS = {each.value: each for each in Overdue}


@dataclass(frozen=True, slots=True)
class Slot:
    """One running execution."""

    execution: str
    deadline: float
    """On CLOCK_MONOTONIC, seconds; inf for none."""
    meaning: Overdue


class Board:
    """Fixed slots of shared memory: written by one replica, read by its agent.

    Made by the agent (`Board.create`), whose file descriptor the replica inherits or receives
    (`Board(fd)`). Writing a slot is a memory copy: no system call.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        size = os.fstat(fd).st_size
        self._behind = size - MOST_UNBEGUN * _UNBEGUN.size
        self.slots = (self._behind - _HEAD) // _SLOT.size
        self._memory = mmap.mmap(fd, size)
        # The cheapest write that Python has: it happens twice in each step of each job.
        self._onstage = memoryview(self._memory)[:_ONSTAGE].cast("Q")
        self._renewed = memoryview(self._memory)[_ONSTAGE:_HEAD].cast("d")
        self._free = list(range(self.slots - 1, -1, -1))
        self._free_behind = list(range(MOST_UNBEGUN - 1, 0, -1))

    @classmethod
    def create(cls, slots: int) -> Board:
        """Return a new, empty board; its descriptor is inheritable only where passed on."""
        fd = os.memfd_create("reuse-queue-board")
        os.ftruncate(fd, _HEAD + slots * _SLOT.size + MOST_UNBEGUN * _UNBEGUN.size)
        return cls(fd)

    def put(
        self, execution: str, deadline: float | None, meaning: Overdue = Overdue.TIMEOUT
    ) -> int:
        """Show an execution as running; return its slot's number for `drop` and `move`.

        -1 where there is no more room: it is not shown.
        """
        if not self._free:
            return -1
        number = self._free.pop()
        self._write(number, execution, _UNLIMITED if deadline is None else deadline, meaning)
        return number

    def move(self, number: int, execution: str, deadline: float, meaning: Overdue) -> None:
        """Give a slot another deadline."""
        self._write(number, execution, deadline, meaning)

    def drop(self, number: int) -> None:
        """Show the slot as free."""
        self._write(number, "", 0.0, 0)
        self._free.append(number)

    def enter(self, number: int) -> None:
        """Show that a slot's code is what the loop runs now."""
        self._onstage[0] = number + 1

    def leave(self) -> None:
        """Show that the loop runs no slot's code."""
        self._onstage[0] = 0

    def claim(self, token: str) -> None:
        """Show that a claim is on its way, whose executions have not begun; empty: no more."""
        self._write_behind(0, token[:CLAIM_LENGTH])

    def expect(self, execution: str) -> int:
        """Show an execution as held and not begun; return its number for `begin`.

        -1 where there is no more room: it then counts as one that may have begun.
        """
        if not self._free_behind:
            return -1
        number = self._free_behind.pop()
        self._write_behind(number, execution)
        return number

    def begin(self, number: int) -> None:
        """Show what was expected no longer: it begins, or is not held any more."""
        self._write_behind(number, "")
        self._free_behind.append(number)

    def unbegun(self) -> list[str]:
        """Return the executions that are expected and have not begun.

        Of a claim that was on its way, it is what those of all its jobs start with.
        """
        found = _UNBEGUN.iter_unpack(self._memory[self._behind :])
        return [each.rstrip(b"\0").decode("ascii", "replace") for (each,) in found if each[0]]

    def renew(self, at: float) -> None:
        """Show, as the agent, that a request sent then (CLOCK_MONOTONIC) renewed the lease."""
        self._renewed[0] = at

    @property
    def renewed(self) -> float:
        """When the agent last renewed the lease, on CLOCK_MONOTONIC; 0 if it never has."""
        return self._renewed[0]

    def read(self) -> list[Slot]:
        """Return what runs, as far as it can be seen this moment."""
        slots = (self._read(number) for number in range(self.slots))
        return [slot for slot in slots if slot is not None]

    def onstage(self) -> Slot | None:
        """Return the slot whose code the loop runs (or was running when it died), if any."""
        number = self._onstage[0]
        return self._read(number - 1) if 0 < number <= self.slots else None

    def close(self) -> None:
        """Unmap and close."""
        self._onstage.release()
        self._renewed.release()
        self._memory.close()
        os.close(self.fd)

    def _read(self, number: int) -> Slot | None:
        at = _HEAD + number * _SLOT.size
        deadline, execution, meaning = _SLOT.unpack_from(self._memory, at)
        if not deadline:
            return None
        return Slot(
            execution.rstrip(b"\0").decode("ascii", "replace"),
            deadline,
            _MEANINGS.get(meaning, Overdue.TIMEOUT),
        )

    def _write_behind(self, number: int, execution: str) -> None:
        at = self._behind + number * _UNBEGUN.size
        _UNBEGUN.pack_into(self._memory, at, execution.encode())

    def _write(self, number: int, execution: str, deadline: float, meaning: int) -> None:
        at = _HEAD + number * _SLOT.size
        _SLOT.pack_into(self._memory, at, deadline, execution.encode(), meaning)
