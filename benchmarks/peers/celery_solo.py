"""Solo pool (100 threads for tasks that wait), no gossip, mingle or heartbeat; no results.

No result backend is its default. In bulk: groups of 100. The fan-out is a chord, with a backend:
its parent does not wait; the one alone waits for a group.
"""

import time
from collections.abc import Callable

from celery import Celery, chord, group

from benchmarks.meter import burn, hit
from benchmarks.peers import CHILDREN, URL, kind

app = Celery("bench", broker=URL, backend=URL if kind() in {"fan", "alone"} else None)
app.conf.worker_prefetch_multiplier = 4
app.conf.broker_connection_retry_on_startup = True


@app.task(name="noop")
def noop() -> None:
    hit()


@app.task(name="sleep10")
def sleep10() -> None:
    hit()
    time.sleep(0.01)


@app.task(name="cpu1")
def cpu1() -> None:
    hit()
    burn()


@app.task(name="fan")
def fan() -> None:
    children = [noop.s() for _ in range(CHILDREN)]
    if kind() == "alone":
        group(children).delay().get(disable_sync_subtasks=False)
        hit(0)
    else:
        chord(children)(had_all.si())


@app.task(name="had_all")
def had_all() -> None:
    hit(0)


def sender(kind: str) -> Callable[[], object]:
    return globals()[kind].delay  # type: ignore[no-any-return]


def bulk(kind: str) -> Callable[[int], object]:
    task = globals()[kind]

    def send(count: int) -> None:
        for start in range(0, count, 100):
            group(task.s() for _ in range(min(100, count - start))).delay()

    return send


def work() -> None:
    pool = ["threads", "-c", "100"] if kind() == "sleep10" else ["solo"]
    app.worker_main(
        [
            *("worker", "-l", "WARNING", "-P", *pool),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    )
