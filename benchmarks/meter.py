"""What a task's body does in every benchmark: count itself, and note when it started.

A file of shared memory per worker process, in the folder that BENCH_METER names: the body costs
about a microsecond and no system call, whatever the peer's worker is made of.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from functools import cached_property
from pathlib import Path

_HEAD = struct.Struct("=Qdd")
_START = struct.Struct("=dq")
_RING = 4096
_SIZE = _HEAD.size + _RING * _START.size


class _Meter:
    def __init__(self) -> None:
        self.pid = 0
        self.count = 0
        self.first = 0.0
        self.memory: mmap.mmap | None = None
        self.lock = threading.Lock()

    def opened(self, now: float) -> mmap.mmap:
        """Return this process's own memory; a fork's is not its parent's."""
        if self.memory is None or self.pid != os.getpid():
            path = Path(os.environ["BENCH_METER"]) / str(os.getpid())
            with path.open("wb+") as file:
                file.truncate(_SIZE)
                self.memory = mmap.mmap(file.fileno(), _SIZE)
            self.count, self.first, self.pid = 0, now, os.getpid()
        return self.memory


_meter = _Meter()


def hit(index: int = -1) -> None:
    """Count one task's start; `index` says which it was, where that matters."""
    with _meter.lock:  # some peers run tasks in threads
        now = time.monotonic()
        memory = _meter.opened(now)
        place = _HEAD.size + (_meter.count % _RING) * _START.size
        _START.pack_into(memory, place, now, index)
        _meter.count += 1
        _HEAD.pack_into(memory, 0, _meter.count, _meter.first, now)


def ran(folder: Path) -> int:
    """Return how many bodies have run so far in all processes of a run."""
    return sum(head[0] for head in _heads(folder))


class Reading:
    """What all processes of one run have counted so far."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        heads = [head for head in _heads(folder) if head[0]]
        self.count = sum(head[0] for head in heads)
        self.processes = len(heads)
        self.first = min((head[1] for head in heads), default=0.0)
        self.last = max((head[2] for head in heads), default=0.0)

    @cached_property
    def starts(self) -> list[float]:
        """When bodies started: at most the newest 4,096 of each process, in order of time."""
        return sorted(moment for moment, _ in self._entries())

    @cached_property
    def by_index(self) -> dict[int, float]:
        """When the body of each index started."""
        return {index: moment for moment, index in self._entries() if index >= 0}

    def _entries(self) -> list[tuple[float, int]]:
        found = []
        for path in self._folder.iterdir():
            raw = path.read_bytes()
            if len(raw) == _SIZE:
                kept = min(_HEAD.unpack_from(raw)[0], _RING)
                found += [
                    _START.unpack_from(raw, _HEAD.size + at * _START.size) for at in range(kept)
                ]
        return found


def _heads(folder: Path) -> list[tuple[int, float, float]]:
    found = []
    for path in folder.iterdir():
        with path.open("rb") as file:
            raw = file.read(_HEAD.size)
        if len(raw) == _HEAD.size:
            found.append(_HEAD.unpack(raw))
    return found


def burn(seconds: float = 0.001) -> None:
    """Work on the processor for that long (thread time, so that a noisy machine counts)."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
