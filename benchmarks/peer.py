"""What runs inside a peer's own environment: `python -m benchmarks.peer NAME VERB …`.

VERB is `work` (become its worker), or one of these, which print JSON:
`one KIND COUNT` and `bulk KIND COUNT [STEP]` [when enqueueing began, the seconds that it took (of
each STEP jobs)], `paced KIND COUNT GAP` the moments at which single jobs were handed in, all
but the first few: those find the sender's connection, and the way, still cold. Moments
are those of CLOCK_MONOTONIC, which all processes share.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.meter import ran

PACED_WARM = 5
_GATHERED = 100
_WARM = 100


def main(arguments: list[str]) -> None:
    name, verb, *rest = arguments
    peer = importlib.import_module(f"benchmarks.peers.{name}")
    if verb == "work":
        peer.work()
        return
    kind, count = _task(peer, rest[0]), int(rest[1])
    numbers = [float(word) for word in rest[2:]]
    print(json.dumps(asyncio.run(_VERBS[verb](peer, kind, count, *numbers))))


def _task(peer: ModuleType, kind: str) -> str:
    """Return the task of a kind: with one at a time it is another one with us only."""
    return kind if hasattr(peer, kind) else {"sync": "noop", "alone": "fan"}[kind]


async def _one(peer: ModuleType, kind: str, count: int) -> list[float]:
    """Enqueue `count` jobs one by one; the first ones are not timed."""
    warm = min(_WARM, count // 2)
    async with _sender(peer, kind) as (send, asend):
        if asend:
            for _ in range(warm):
                await asend()
            began = time.monotonic()
            for _ in range(count - warm):
                await asend()
        else:
            for _ in range(warm):
                send()
            began = time.monotonic()
            for _ in range(count - warm):
                send()
    return [began, (time.monotonic() - began) * count / max(1, count - warm)]


async def _bulk(peer: ModuleType, kind: str, count: int, step: float = 0) -> list[float]:
    """Enqueue `count` jobs in the peer's fastest way."""
    each = int(step) or count
    async with _sends_many(peer, kind) as send:
        began = last = time.monotonic()
        took = []
        for start in range(0, count, each):
            done = send(min(each, count - start))
            if isinstance(done, Awaitable):
                await done
            took.append(time.monotonic() - last)
            last += took[-1]
    return [began, *took]


async def _paced(peer: ModuleType, kind: str, count: int, gap: float) -> list[float]:
    """Hand in one job at a time, the next some time after the last one has started.

    The gaps differ, lest they fall in with a peer's polling.
    """
    folder = Path(os.environ["BENCH_METER"])
    moments: list[float] = []
    async with _sender(peer, kind) as (send, asend):
        before = ran(folder)
        while len(moments) < count + PACED_WARM:
            await asyncio.sleep(gap * random.uniform(0.5, 1.5))
            if ran(folder) - before < len(moments):
                continue
            await asyncio.sleep(gap / 4)  # what was just looked up is not what is measured
            moments.append(time.monotonic())
            if asend:
                await asend()
            else:
                send()
    return moments[PACED_WARM:]


@asynccontextmanager
async def _sender(
    peer: ModuleType, kind: str
) -> AsyncIterator[tuple[Callable[[], object], Callable[[], Awaitable[object]] | None]]:
    """Yield the peer's call for one job: blocking, or asynchronous."""
    if not hasattr(peer, "asender"):
        yield peer.sender(kind), None
        return
    async with peer.asender(kind) as asend:
        yield asend, asend


@asynccontextmanager
async def _sends_many(
    peer: ModuleType, kind: str
) -> AsyncIterator[Callable[[int], Awaitable[object] | object]]:
    if hasattr(peer, "bulk"):
        yield peer.bulk(kind)
    elif hasattr(peer, "abulk"):
        async with peer.abulk(kind) as send:
            yield send
    else:
        async with _sender(peer, kind) as (send, asend):

            async def gathered(count: int) -> None:
                for start in range(0, count, _GATHERED):
                    some = min(_GATHERED, count - start)
                    await asyncio.gather(*(asend() for _ in range(some) if asend))

            def repeated(count: int) -> None:
                for _ in range(count):
                    send()

            yield gathered if asend else repeated


Verb = Callable[..., Coroutine[Any, Any, list[float]]]
_VERBS: dict[str, Verb] = {"one": _one, "bulk": _bulk, "paced": _paced}

if __name__ == "__main__":
    main(sys.argv[1:])
