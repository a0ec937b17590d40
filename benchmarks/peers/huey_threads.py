"""One thread (100 for tasks that wait), its fastest for each; results of None are not stored.

That is its default; it has no bulk call. It pops a job before it runs it and keeps no copy. For a
fan-out: two threads, and results stored.
"""

import time
from collections.abc import Callable

from huey import RedisHuey

from benchmarks.meter import burn, hit
from benchmarks.peers import CHILDREN, URL, kind

huey = RedisHuey("bench", url=URL, store_none=kind() in {"fan", "alone"})


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


@huey.task()
def fan() -> None:
    children = [noop() for _ in range(CHILDREN)]
    for child in children:
        child.get(blocking=True, max_delay=0.01)
    hit(0)


def sender(kind: str) -> Callable[[], object]:
    return globals()[kind]  # type: ignore[no-any-return]


def work() -> None:
    workers = {"sleep10": 100, "fan": 2}.get(kind(), 1)
    huey.create_consumer(workers=workers, worker_type="thread", periodic=False).run()
