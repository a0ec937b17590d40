"""What runs inside a peer's own environment: `python -m benchmarks.peer NAME VERB …`.

VERB is `work` (become its worker), or one of these, which print JSON:
`one KIND COUNT` and `bulk KIND COUNT` the seconds that enqueueing took, `paced KIND COUNT GAP`
the moments (CLOCK_MONOTONIC) at which single jobs were handed in.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from types import ModuleType

_GATHERED = 100


def main(arguments: list[str]) -> None:
    name, verb, *rest = arguments
    peer = importlib.import_module(f"benchmarks.peers.{name}")
    if verb == "work":
        peer.work()
        return
    kind, count = rest[0], int(rest[1])
    if verb == "paced":
        print(json.dumps(asyncio.run(_paced(peer, kind, count, float(rest[2])))))
        return
    print(json.dumps(_one(peer, kind, count) if verb == "one" else _bulk(peer, kind, count)))


def _one(peer: ModuleType, kind: str, count: int) -> float:
    if not hasattr(peer, "asender"):
        send = peer.sender(kind)
        send()
        began = time.perf_counter()
        for _ in range(count - 1):
            send()
        return time.perf_counter() - began

    async def run() -> float:
        async with peer.asender(kind) as send:
            await send()
            began = time.perf_counter()
            for _ in range(count - 1):
                await send()
            return time.perf_counter() - began

    return asyncio.run(run())


def _bulk(peer: ModuleType, kind: str, count: int) -> float:
    began = time.perf_counter()
    if hasattr(peer, "bulk"):
        peer.bulk(kind, count)
    elif hasattr(peer, "abulk"):
        asyncio.run(peer.abulk(kind, count))
    elif hasattr(peer, "asender"):
        began = asyncio.run(_gathered(peer, kind, count))
    else:
        return _one(peer, kind, count)
    return time.perf_counter() - began


async def _gathered(peer: ModuleType, kind: str, count: int) -> float:
    """No bulk call of its own: many single ones at once."""
    async with peer.asender(kind) as send:
        began = time.perf_counter()
        for start in range(0, count, _GATHERED):
            await asyncio.gather(*(send() for _ in range(min(_GATHERED, count - start))))
        return began


async def _paced(peer: ModuleType, kind: str, count: int, gap: float) -> list[float]:
    async def pace(send: Callable[[], Awaitable[object] | object]) -> list[float]:
        moments = []
        for _ in range(count):
            await asyncio.sleep(gap)
            moments.append(time.monotonic())
            sent = send()
            if isinstance(sent, Awaitable):
                await sent
        return moments

    if not hasattr(peer, "asender"):
        return await pace(peer.sender(kind))
    async with peer.asender(kind) as send:
        return await pace(send)


if __name__ == "__main__":
    main(sys.argv[1:])
