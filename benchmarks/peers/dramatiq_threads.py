"""One thread (100 for tasks that wait) and a prefetch of 100, its fastest for each; no results.

No result backend is its default; it has no bulk call. For a fan-out: two threads, and results.
"""

import os
import sys
import time
from collections.abc import Callable

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.meter import burn, hit
from benchmarks.peers import CHILDREN, URL, kind

broker = RedisBroker(url=URL)
if kind() in {"fan", "alone"}:
    # However long a result takes: redis-py's default gives up after 5 s.
    waits = redis.Redis.from_url(URL, socket_timeout=None)
    broker.add_middleware(Results(backend=RedisBackend(client=waits), store_results=True))
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


@dramatiq.actor(max_retries=0, time_limit=10 * 60 * 1000)
def fan() -> None:
    children = dramatiq.group([noop.message() for _ in range(CHILDREN)]).run()
    for _ in children.get_results(block=True, timeout=10 * 60 * 1000):
        pass
    hit(0)


def sender(kind: str) -> Callable[[], object]:
    return globals()[kind].send  # type: ignore[no-any-return]


def work() -> None:
    threads = {"sleep10": "100", "fan": "2"}.get(kind(), "1")
    os.execve(  # its worker is a program, which reads the prefetch when it starts
        sys.executable,
        [sys.executable, "-m", "dramatiq", __name__, "-p", "1", "-t", threads],
        {**os.environ, "dramatiq_queue_prefetch": "100"},
    )
