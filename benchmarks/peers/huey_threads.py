"""One thread (100 for tasks that wait), its fastest for each; results of None are not stored.

That is its default; it has no bulk call. It pops a job before it runs it and keeps no copy.
"""

import time
from collections.abc import Callable

from huey import RedisHuey

from benchmarks.meter import burn, hit
from benchmarks.peers import URL, kind

huey = RedisHuey("bench", url=URL)


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
    workers = 100 if kind() == "sleep10" else 1
    huey.create_consumer(workers=workers, worker_type="thread", periodic=False).run()
