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
from pathlib import Path

_HEAD = struct.Struct("=Qdd")
_START = struct.Struct("=d")
_RING = 4096
_SIZE = _HEAD.size + _RING * _START.size


class _Meter:
    pid = 0
    count = 0
    first = 0.0
    memory: mmap.mmap
    opening = threading.Lock()

    def open(self) -> None:
        with self.opening:
            if self.pid == os.getpid():
                return  # another thread was here first
            path = Path(os.environ["BENCH_METER"]) / str(os.getpid())
            with path.open("wb+") as file:
                file.truncate(_SIZE)
                self.memory = mmap.mmap(file.fileno(), _SIZE)
            self.count, self.first, self.pid = 0, time.monotonic(), os.getpid()


_meter = _Meter()


def hit() -> None:
    """Count one task's start."""
    now = time.monotonic()
    if _meter.pid != os.getpid():
        _meter.open()
    place = _HEAD.size + (_meter.count % _RING) * _START.size
    _START.pack_into(_meter.memory, place, now)
    _meter.count += 1
    _HEAD.pack_into(_meter.memory, 0, _meter.count, _meter.first, now)


class Reading:
    """What all processes of one run have counted so far."""

    def __init__(self, folder: Path) -> None:
        heads, self.starts = [], []
        for path in folder.iterdir():
            raw = path.read_bytes()
            if len(raw) < _SIZE:
                continue
            count, first, last = _HEAD.unpack_from(raw)
            if count:
                heads.append((count, first, last))
                kept = min(count, _RING)
                self.starts += [
                    _START.unpack_from(raw, _HEAD.size + i * _START.size)[0] for i in range(kept)
                ]
        self.count = sum(head[0] for head in heads)
        self.first = min((head[1] for head in heads), default=0.0)
        self.last = max((head[2] for head in heads), default=0.0)
        self.starts.sort()

    @property
    def seconds(self) -> float:
        """From the first body to the last."""
        return self.last - self.first


def burn(seconds: float = 0.001) -> None:
    """Work on the processor for that long (process time, so that a noisy machine counts)."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
