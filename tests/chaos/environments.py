"""The environments of the application under chaos, and the note of every run of every task.

Two of coroutines, so that there parents never take the slots of their children; one of single
slots, in which parents have to give theirs to their children; one of plain functions, and of all
that blocks its replica; and one for the jobs that kill theirs, with others beside them.
"""

from __future__ import annotations

import asyncio
import os
import resource
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rq.job import Job

from chaos.ledger import Ledger
from reuse_queue import ReusePolicy, TaskEnvironment, current_job
from reuse_queue.settings import Settings

FOLDER = "CHAOS_FOLDER"
RESULTS_LAST_S = 86_400
FOREVER_S = 600.0
PATIENCE_S = 120

ledger = Ledger(Path(os.environ[FOLDER]) / "ledger")
settings = Settings.from_env()
main = TaskEnvironment("main", reusable=ReusePolicy(replicas=(1, 4), concurrency=8))
plain = TaskEnvironment("plain", reusable=ReusePolicy(replicas=(1, 3), concurrency=1))
nest = TaskEnvironment("nest", reusable=ReusePolicy(replicas=(0, 2), concurrency=8))
solo = TaskEnvironment("solo", reusable=ReusePolicy(replicas=(0, 2), concurrency=1))
deadly = TaskEnvironment("deadly", reusable=ReusePolicy(replicas=(0, 2), concurrency=4))
for each in (main, plain, nest, solo, deadly):
    each.bind(settings, patience=PATIENCE_S)


def mourn(job: Job, _: object, kind: type[BaseException], *__: object) -> None:
    """Tell of a failure."""
    ledger.told(job.id, kind.__name__)


for each in (main, plain, deadly):
    each.callback(mourn)


@deadly.preload
def leave_no_core() -> None:
    """Segfaults are wanted here, their cores are not."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def stand_still(seconds: float) -> None:
    """Let this thread stand still.

    In place of `time.sleep`, which libfaketime breaks in Python 3.11 and later.
    """
    select.select([], [], [], seconds)


if "faketime" in os.environ.get("LD_PRELOAD", ""):
    # Nor can what the library itself does between two tries.
    time.sleep = stand_still  # type: ignore[assignment]  # nothing sleeps for a SupportsIndex


@contextmanager
def noted(kind: str) -> Iterator[str]:
    """Note one run; yield its execution's id, which is what every task returns."""
    job = current_job()
    assert job is not None
    ledger.began(job.id, job.execution, kind, job.replica)
    try:
        yield job.execution
    except asyncio.CancelledError:
        ledger.ended(job.execution, "canceled")
        raise
    except BaseException as error:
        ledger.ended(job.execution, "raised", repr(error))
        raise
    ledger.ended(job.execution, "returned")
