"""The smallest environment: one task on warm replicas.

reuse-queue run examples.hello:env -- python -m examples.hello Ada Grace
"""

from __future__ import annotations

import asyncio
import os
import sys

from reuse_queue import ReusePolicy, TaskEnvironment

env = TaskEnvironment(name="hello", reusable=ReusePolicy(replicas=(0, 2), concurrency=8))


@env.task()
async def greet(name: str) -> str:
    """Return a greeting, and the replica's process id."""
    await asyncio.sleep(0.1)
    return f"Hello {name}, from process {os.getpid()}"


def main() -> None:
    """Greet everyone on the command line."""
    names = sys.argv[1:] or ["world"]
    for handle in greet.enqueue_many([(name,) for name in names]):
        print(handle.result(timeout=30))


if __name__ == "__main__":
    main()
