"""What rq leaves to a scheduler process of its own, a fleet's scaler does: no `rq worker` runs.

`rq cron` is a process all the same: it only enqueues.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rq import Queue, Repeat, Retry
from rq.job import Job

from reuse_queue.settings import Settings
from support.fleet_processes import ENV, FleetProcesses

pytestmark = pytest.mark.timeout(90)

TASKS = """
def runs() -> int:
    return len((FOLDER / f"runs-{current_job().id}").read_text().split())

@env.task
def add(a: int, b: int) -> int:
    begin()
    return a + b

@env.task
def third_time_lucky() -> int:
    begin()
    if runs() < 3:
        raise ValueError("not yet")
    return runs()

@env.task
def tick() -> int:
    return begin()
"""
CRON = """
from rq import cron
import whole_app
cron.register(whole_app.tick.function, "whole", interval=1)
"""


@pytest.fixture
def fleet(settings: Settings, tmp_path: Path) -> Iterator[FleetProcesses]:
    made = FleetProcesses(replace(settings, lease=timedelta(seconds=5)), tmp_path)
    made.write(serializer="pickle", tasks=TASKS, concurrency=1)
    made.serve()
    yield made
    made.close()


def ended(fleet: FleetProcesses, job: Job, runs: int) -> None:
    """Return once a job has run so often, each time to an end, and will not run again."""

    def over() -> bool:
        results = fleet.raw.xlen(f"rq:results:{job.id}")
        return (
            results > 0 and job.get_status(refresh=True) == "finished" and ran(fleet, job) == runs
        )

    fleet.until(over, f"the end of {job}")


def ran(fleet: FleetProcesses, job: Job) -> int:
    path = fleet.folder / f"runs-{job.id}"
    return len(path.read_text().split()) if path.exists() else 0


def test_scheduled_jobs_retries_and_repeats_come_in_time_without_rqs_scheduler(
    fleet: FleetProcesses,
) -> None:
    queue = Queue(ENV, connection=fleet.raw)
    later = queue.enqueue_in(timedelta(seconds=1), "whole_app.add", 1, 2)
    retried = queue.enqueue("whole_app.third_time_lucky", retry=Retry(max=2, interval=[1, 1]))
    repeated = queue.enqueue("whole_app.add", 3, 4, repeat=Repeat(times=2, interval=1))
    far = queue.enqueue_in(timedelta(hours=1), "whole_app.add", 5, 6)
    waits = queue.enqueue("whole_app.add", 7, 8, depends_on=later)

    ended(fleet, later, 1)
    ended(fleet, waits, 1)
    ended(fleet, retried, 3)
    ended(fleet, repeated, 3)

    assert [job.return_value(refresh=True) for job in (later, retried, repeated)] == [3, 3, 7]
    assert far.get_status(refresh=True) == "scheduled"
    assert not fleet.raw.keys("rq:scheduler*")


def test_jobs_of_rq_cron_run(fleet: FleetProcesses) -> None:
    config = fleet.folder / "cron_config.py"
    config.write_text(CRON)
    command = [sys.executable, "-m", "rq.cli", "cron", str(config), "-u"]
    environ = os.environ | {"PYTHONPATH": str(fleet.folder)}
    process = subprocess.Popen([*command, fleet.settings.redis_url], env=environ)
    try:
        fleet.until(lambda: len(list(fleet.folder.glob("runs-*"))) >= 2, "two runs")
    finally:
        process.terminate()
        process.wait()
    assert fleet.raw.zcard(f"rq:failed:{ENV}") == 0
