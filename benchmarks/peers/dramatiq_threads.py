"""One thread (100 for tasks that wait) and a prefetch of 100, its fastest for each; no results.

No result backend is its default; it has no bulk call.
"""

import os
import sys
import time
from collections.abc import Callable

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.meter import burn, hit
from benchmarks.peers import URL, kind

broker = RedisBroker(url=URL)
dramatiq.set_broker(broker)


@dramatiq.actor
def noop() -> None:
    hit()


@dramatiq.actor
def sleep10() -> None:
    hit()
    time.sleep(0.01)


@dramatiq.actor
def cpu1() -> None:
    hit()
    burn()


def sender(kind: str) -> Callable[[], object]:
    return globals()[kind].send  # type: ignore[no-any-return]


def work() -> None:
    threads = "100" if kind() == "sleep10" else "1"
    os.execve(  # its worker is a program, which reads the prefetch when it starts
        sys.executable,
        [sys.executable, "-m", "dramatiq", __name__, "-p", "1", "-t", threads],
        {**os.environ, "dramatiq_queue_prefetch": "100"},
    )
