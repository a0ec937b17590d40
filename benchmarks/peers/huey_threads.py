"""huey: thread workers, 8 (1 for CPU work); results of None are not stored (its default)."""

import os
import time
from collections.abc import Callable

from huey import RedisHuey

from benchmarks.meter import burn, hit

CONCURRENCY = 8
huey = RedisHuey("bench", url=os.environ.get("BENCH_REDIS"))


@huey.task()
def noop() -> None:
    hit()


@huey.task()
def sleep10() -> None:
    hit()
    time.sleep(0.01)


@huey.task()
def cpu1() -> None:
    hit()
    burn()


def sender(kind: str) -> Callable[[], object]:
    return globals()[kind]  # type: ignore[no-any-return]


def work() -> None:
    workers = 1 if os.environ["BENCH_KIND"] == "cpu1" else 8
    huey.create_consumer(workers=workers, worker_type="thread", periodic=False).run()
