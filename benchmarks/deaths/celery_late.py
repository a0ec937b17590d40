"""celery: prefork pool, acks_late, reject_on_worker_lost, prefetch 1."""

import os
import sys

from celery import Celery

from benchmarks.deaths.body import REDIS, run

app = Celery("deaths", broker=REDIS)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


@app.task(name="job")
def job() -> None:
    run()


if __name__ == "__main__":
    if sys.argv[1] == "send":
        job.delay()
    else:
        app.worker_main(["worker", "-l", "WARNING", "-c", "1", "-n", f"w{os.getpid()}@%h"])
