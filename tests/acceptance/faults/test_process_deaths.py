"""Jobs that take their replica along: what is said of it, and who pays for it."""

import pytest

from reuse_queue import TaskFailed
from support.fleet_processes import FleetProcesses
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(90)

TASKS = """
import ctypes, signal

@env.task(redeliver=False)
async def die(how: str) -> None:
    begin()
    if how == "segfault":
        ctypes.string_at(0)
    if how == "abort":
        os.abort()
    if how == "exit":
        os._exit(7)
    if how == "exit as if all were well":
        os._exit(0)
"""
DEATHS = {
    "segfault": "killed by SIGSEGV",
    "abort": "killed by SIGABRT",
    "exit": "exit code 7",
    "exit as if all were well": "exit code 0",
}


def test_a_crash_is_named_and_charged_to_no_job_beside_it(short_leased: FleetProcesses):
    fleet = short_leased
    app = fleet.write(replicas=(0, 2), concurrency=4, tasks=COROUTINES + TASKS)
    fleet.serve()
    beside = app.wait.enqueue_many([()] * 2)
    for number, (how, cause) in enumerate(DEATHS.items(), 1):
        fleet.running(*beside)
        job = app.die.enqueue(how)
        with pytest.raises(TaskFailed, match=f"JobLost: .* may run only once: .*{cause}"):
            job.result(timeout=40)
        assert len(fleet.runs(job)) == 1
        fleet.until(lambda n=number: len(fleet.snapshot().deaths) == n, "its death")  # type: ignore[misc]
        assert fleet.snapshot().deaths[0].cause == cause
    fleet.open()
    fleet.finished(beside)
    assert [job.job().deliveries_lost for job in beside] == [0, 0]
