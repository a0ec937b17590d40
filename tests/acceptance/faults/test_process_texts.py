"""What a task raises may be as long as it likes: what is kept of it is not."""

import pytest
from rq.job import Job

from reuse_queue import TaskFailed
from support.fleet_processes import FleetProcesses
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(90)

KEPT = 64 * 1024
SHOUT = """
@env.task(retries=1)
async def shout(text: str) -> None:
    begin()
    raise ValueError(f"{text}{text * 1_000_000} and no more")
"""
SHOUT_AT_START = """
@env.on_start
async def load() -> None:
    if not (FOLDER / "model").exists():
        raise ValueError("no model" * 1_250_000)
"""


@pytest.mark.parametrize("text", ["one a line\n", "äöü …\u2028\x1b["])
def test_ten_megabytes_of_a_traceback_are_cut_in_the_middle_and_harm_nobody(
    short_leased: FleetProcesses, text: str
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1), concurrency=2, tasks=COROUTINES + SHOUT)
    fleet.serve()
    beside = app.wait.enqueue()
    fleet.running(beside)
    job = app.shout.enqueue(text)
    with pytest.raises(TaskFailed) as caught:
        job.result(timeout=30)
    found = Job.fetch(job.id, connection=fleet.raw, serializer="json").latest_result().exc_string
    assert len(found) < KEPT + 100
    assert found.startswith("Traceback (most recent call last):\n")
    assert "characters left out" in found
    assert found.endswith(" and no more\n")
    assert caught.value.traceback == found
    assert fleet.raw.memory_usage(f"rq:results:{job.id}") < 4 * KEPT
    assert len(fleet.runs(job)) == 2
    fleet.open()
    assert set(fleet.finished([beside])) == set(fleet.runs(job))
    assert fleet.snapshot().deaths == ()


def test_ten_megabytes_of_a_hook_s_traceback_are_cut_wherever_they_are_told(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1), concurrency=2, tasks=COROUTINES + SHOUT_AT_START)
    fleet.serve()
    job = app.add.enqueue(1, 2)
    fleet.until(lambda: fleet.snapshot().deaths, "a death")
    [death, *_] = fleet.snapshot().deaths
    assert len(death.detail) < KEPT + 100
    assert "ValueError: no model" in death.detail
    assert len(death.cause) < 1000
    assert max(len(each.reason) for each in fleet.decisions()) < 2000
    (fleet.folder / "model").touch()
    assert fleet.finished([job]) == [3]
