"""The application of a whole fleet, as a text: its jobs leave marks that a test can wait for."""

from pathlib import Path

_HEAD = """
import asyncio, os, time
from datetime import timedelta
from pathlib import Path
from reuse_queue import ReusePolicy, TaskEnvironment, current_job

FOLDER = Path({folder!r})
policy = ReusePolicy(replicas={replicas!r}, concurrency={concurrency})
policy.idle_ttl = timedelta(seconds={idle})
policy.scaledown_ttl = timedelta(seconds={down})
env = TaskEnvironment("whole", reusable=policy, serializer={serializer!r})

def begin() -> int:
    with (FOLDER / f"runs-{{current_job().id}}").open("a") as runs:
        runs.write(f"{{os.getpid()}}\\n")
    return os.getpid()
"""
COROUTINES = """
@env.task
async def add(a: int, b: int) -> int:
    begin()
    return a + b

@env.task
async def wait(gate: str = "gate") -> int:
    # Returns where it ran, once its gate is open.
    pid = begin()
    while not (FOLDER / gate).exists():
        await asyncio.sleep(0.02)
    return pid

@env.task
async def doze(seconds: float) -> int:
    pid = begin()
    await asyncio.sleep(seconds)
    return pid
"""


def text(
    folder: Path,
    *,
    replicas: int | tuple[int, int] = (0, 3),
    concurrency: int = 2,
    idle: float = 600,
    down: float = 600,
    serializer: str = "json",
    tasks: str = COROUTINES,
) -> str:
    """Return the module's source; TTLs are seconds, shorter than any policy could have them."""
    head = _HEAD.format(
        folder=str(folder),
        replicas=replicas,
        concurrency=concurrency,
        idle=idle,
        down=down,
        serializer=serializer,
    )
    return head + tasks
