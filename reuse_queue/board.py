"""The board: a few bytes of shared memory in which a replica shows its agent what it runs.

A replica that holds the GIL or blocks its loop cannot answer; its agent reads here which
executions run and until when they may, to kill it when one is overdue and to know, after its
death, which jobs were really running.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from enum import IntEnum

_SLOT = struct.Struct("=d32sB7x")
_UNLIMITED = float("inf")


class Overdue(IntEnum):
    """What it means when a slot's deadline passes."""

    TIMEOUT = 0
    CANCELED = 1
    DEADLINE = 2


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
        self.slots = os.fstat(fd).st_size // _SLOT.size
        self._memory = mmap.mmap(fd, self.slots * _SLOT.size)
        self._free = list(range(self.slots - 1, -1, -1))

    @classmethod
    def create(cls, slots: int) -> Board:
        """Return a new, empty board; its descriptor is inheritable only where passed on."""
        fd = os.memfd_create("reuse-queue-board")
        os.ftruncate(fd, slots * _SLOT.size)
        return cls(fd)

    def put(
        self, execution: str, deadline: float | None, meaning: Overdue = Overdue.TIMEOUT
    ) -> int:
        """Show an execution as running; return its slot's number for `drop` and `move`."""
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

    def read(self) -> list[Slot]:
        """Return what runs, as far as it can be seen this moment."""
        found = []
        for number in range(self.slots):
            deadline, execution, meaning = _SLOT.unpack_from(self._memory, number * _SLOT.size)
            if deadline:
                found.append(
                    Slot(
                        execution.rstrip(b"\0").decode("ascii", "replace"),
                        deadline,
                        _MEANINGS.get(meaning, Overdue.TIMEOUT),
                    )
                )
        return found

    def close(self) -> None:
        """Unmap and close."""
        self._memory.close()
        os.close(self.fd)

    def _write(self, number: int, execution: str, deadline: float, meaning: int) -> None:
        _SLOT.pack_into(self._memory, number * _SLOT.size, deadline, execution.encode(), meaning)
