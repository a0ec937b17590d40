"""A fleet on a Redis of its own, which a test may harm."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from reuse_queue.settings import Settings
from support.fleet_processes import FleetProcesses
from support.server import RedisServer, programs

SETTINGS: dict[str, Any] = {
    "host": "testhost",
    "lease": timedelta(seconds=6),
    "heartbeat": timedelta(seconds=0.5),
    "drain_grace": timedelta(seconds=20),
    "kill_grace": timedelta(seconds=0.3),
}


def first_program() -> str:
    return next(iter(programs().values()))


@contextlib.contextmanager
def server(program: str = "", **options: Any) -> Iterator[RedisServer]:
    """Yield a server that ends with the block; its options are those of RedisServer."""
    made = RedisServer(program or first_program(), **options)
    try:
        yield made
    finally:
        made.go_on()
        made.close()


@contextlib.contextmanager
def fleet_at(url: str, folder: Path, **settings: Any) -> Iterator[FleetProcesses]:
    """Yield a fleet whose processes end with the block."""
    made = FleetProcesses(Settings(**{"redis_url": url, **SETTINGS, **settings}), folder)
    try:
        yield made
    finally:
        made.close()
