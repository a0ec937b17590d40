"""An application as a user might write one, for tests of what it imports."""

from __future__ import annotations

import asyncio
import enum
import os
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reuse_queue import ReusePolicy, TaskEnvironment, current_job

if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]  # as type checkers' imports may be

env = TaskEnvironment(name="sample", reusable=ReusePolicy(replicas=(0, 3), concurrency=8))
plain = TaskEnvironment(name="plain")
pickled = TaskEnvironment(name="pickled", serializer="pickle")
log: list[str] = []


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Label:
    name: str
    score: float = 1.0


@dataclass
class Box:
    side: int


class Point(msgspec.Struct):
    x: int


@dataclass
class Everything:
    """Whatever JSON has no word for."""

    moment: datetime
    span: timedelta
    colour: Colour
    key: uuid.UUID
    data: bytes
    price: Decimal
    tags: set[str]
    pair: tuple[int, str]
    by_number: dict[int, Label]
    point: Point
    path: Path
    nothing: None = None


@env.on_start
async def start() -> None:
    log.append("start")


@env.on_stop()
def stop() -> None:
    log.append("stop")


@env.task(retries=2, timeout=30)
async def classify(path: str, top: int = 1) -> Label:
    """Say what is in a picture."""
    await asyncio.sleep(0)
    return Label(path, float(top))


@env.task
async def echo(value: Everything) -> Everything:
    return value


@env.task
async def anything(value, *rest: int, wanted: Label | Box | None = None, **more: float):  # type: ignore[no-untyped-def]
    return [value, list(rest), wanted, more]


@env.task
async def lenient(value: Unknown, label: Label = None) -> Unknown:  # type: ignore[assignment]
    return [value, label]


@env.task
async def nested(depth: int) -> int:
    """Call itself, enqueuing by turns without blocking and blocking."""
    if depth == 0:
        return 0
    if depth % 2:
        return 1 + await (await nested.aenqueue(depth - 1))
    return 1 + await nested.enqueue(depth - 1)


@env.task
async def blocking() -> int:
    return nested.enqueue_and_wait(1)


@env.task(retries=3)
async def fail(times: list[int]) -> str:
    """Fail, and leave what a retry must not see in its argument."""
    times.append(1)
    job = current_job()
    assert job is not None
    if job.retries_left:
        raise ValueError(f"not yet, {job.retries_left} left")
    return f"{len(times)} {job.environment} {job.replica}"


@plain.task
def add(a: int, b: int = 0) -> int:
    return a + b


@plain.task
def process(what: str) -> Any:
    """Do what only a thread without a loop can do, and what must not end the caller."""
    if what == "loop":
        return asyncio.run(asyncio.sleep(0, "ran"))
    if what == "raise":
        raise ValueError("no")
    if what == "exit":
        raise SystemExit(3)
    if what == "object":
        return object()
    return os.getpid()


@pickled.task(redeliver=False)
def keep(value: object) -> object:
    return value
