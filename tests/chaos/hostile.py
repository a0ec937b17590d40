"""Tasks that hurt the process that runs them, or do not end when they should."""

from __future__ import annotations

import asyncio
import ctypes
import math
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from chaos.environments import (
    FOREVER_S,
    RESULTS_LAST_S,
    deadly,
    main,
    mourn,
    noted,
    plain,
    settings,
    stand_still,
)
from reuse_queue import current_job

UNUSUAL = ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "RecursionError")
LONGER_THAN_A_LEASE_S = math.ceil(settings.lease.total_seconds()) + 2
_CHILD_S = 10


@main.task
async def leave(how: str) -> None:
    """Raise what would end any other program."""
    with noted("unusual error"):
        _raise(how)


@plain.task
def leave_plainly(how: str) -> None:
    """Raise the same in a thread."""
    with noted("unusual error"):
        _raise(how)


@plain.task
def leak() -> None:
    """Take memory until the process may have no more."""
    with noted("leak"):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, resource.RLIM_INFINITY))
        leaked = []
        try:
            while True:
                leaked.append(bytearray(2**24))
        finally:
            leaked.clear()
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)


@plain.task(result_ttl=RESULTS_LAST_S)
async def block(how: str, seconds: int) -> str:
    """Keep the loop, and maybe all threads, from running for longer than a lease lasts."""
    with noted(how) as execution:
        _BLOCKS[how](seconds)
        return execution


@main.task(result_ttl=RESULTS_LAST_S)
async def fork() -> str:
    """Leave a child behind, which is gone with the replica at the latest."""
    with noted("fork") as execution:
        _leave_a_child()
        return execution


@main.task(timeout=1)
async def late() -> None:
    """Outlast its timeout, and give way."""
    with noted("late"):
        await asyncio.sleep(FOREVER_S)


@plain.task(timeout=1, on_failure=mourn)
def stuck() -> None:
    """Outlast its timeout in code that nothing can stop but its replica's end."""
    with noted("stuck"):
        stand_still(FOREVER_S)


@deadly.task(timeout=1, on_failure=mourn)
async def stubborn() -> None:
    """Outlast its timeout, and do not give way."""
    with noted("stubborn"):
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(FOREVER_S)


@deadly.task(result_ttl=RESULTS_LAST_S)
async def segfault() -> str:
    """Read from address 0, the first time."""
    with noted("segfault") as execution:
        job = current_job()
        assert job is not None
        if not job.deliveries_lost:
            ctypes.string_at(0)
        return execution


@deadly.task(on_failure=mourn)
async def poison() -> str:
    """End its process, every time."""
    with noted("poison"):
        os._exit(7)


def _raise(how: str) -> NoReturn:
    if how == "SystemExit":
        sys.exit("out of here")
    if how == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if how == "GeneratorExit":
        raise GeneratorExit
    _raise(how)


def _spin(seconds: int) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass


# The second is C code that keeps the interpreter's lock: no line of Python runs meanwhile.
_BLOCKS: dict[str, Callable[[int], object]] = {
    "block": stand_still,
    "hog": ctypes.PyDLL(None).sleep,
    "spin": _spin,
}


def _leave_a_child() -> None:
    if os.fork() == 0:
        stand_still(_CHILD_S)
        os._exit(0)
