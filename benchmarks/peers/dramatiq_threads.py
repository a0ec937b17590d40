"""dramatiq: 8 threads (its default), one for CPU work; prefetch 100; no results."""

import os
import sys
import time
from collections.abc import Callable

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.cli import main, make_argument_parser

from benchmarks.meter import burn, hit

CONCURRENCY = 8
os.environ.setdefault("dramatiq_queue_prefetch", "100")
broker = RedisBroker(url=os.environ.get("BENCH_REDIS"))
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
    threads = "1" if os.environ["BENCH_KIND"] == "cpu1" else "8"
    sys.argv[:] = ["dramatiq", __name__, "-p", "1", "-t", threads]
    sys.exit(main(make_argument_parser().parse_args(sys.argv[1:])))
