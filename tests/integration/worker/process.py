"""One replica in a process of its own: `python -m integration.worker.process URL NAME BOARD`.

Its settings come from the environment's variables; each task writes to the list `seen`.
"""

import asyncio
import os
import signal
import sys
import time

import redis
import structlog

from reuse_queue import ReusePolicy, TaskEnvironment
from reuse_queue.board import Board
from reuse_queue.settings import Settings
from reuse_worker.serve import serve
from support.eventually import eventually

env = TaskEnvironment(name="lab", reusable=ReusePolicy(replicas=(0, 2), concurrency=1))
raw = redis.Redis.from_url(sys.argv[1])


@env.on_start
def start() -> None:
    if os.environ.get("FAIL"):
        raise ValueError("no model here")


@env.on_stop
def stop() -> None:
    raw.rpush("seen", "stopped")


@env.task
async def passes_the_gate() -> str:
    raw.rpush("seen", "runs")
    await eventually(lambda: raw.exists("gate"), within=60)
    return "passed"


@env.task
async def stays() -> None:
    raw.rpush("seen", "runs")
    try:
        await asyncio.Event().wait()
    finally:
        raw.rpush("seen", "cleaned up")


@env.task
def blocks() -> None:
    raw.rpush("seen", "runs")
    time.sleep(60)


@env.task
async def leaves_a_task_behind() -> str:
    async def exits() -> None:
        raise SystemExit(9)

    left = asyncio.ensure_future(exits())
    await asyncio.wait([left])
    return "still here"


@env.task
async def spawns_what_never_ends() -> str:
    async def ignores_its_cancel() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raw.rpush("seen", "ignored")

    background.append(asyncio.ensure_future(ignores_its_cancel()))
    return "started"


@env.task
async def dies_before_others(number: int) -> None:
    dies_before_others_here(number)


@env.task
def dies_before_others_here(number: int) -> None:
    raw.rpush("seen", number)
    if number >= 20 and board.unbegun():
        os.kill(os.getpid(), signal.SIGKILL)


background: list[asyncio.Future[None]] = []


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    board = Board(int(sys.argv[3]))
    code = serve(env, sys.argv[2], board, Settings.from_env())
    sys.stderr.flush()
    os._exit(code)
