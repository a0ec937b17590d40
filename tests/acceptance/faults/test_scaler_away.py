"""No scaler runs: nothing is scaled, and no job has to wait for one."""

import pytest

from support.fleet_processes import FleetProcesses
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(90)

TASKS = (
    COROUTINES
    + """
@env.task(retries=1, backoff=0.1)
async def flaky() -> int:
    begin()
    if len((FOLDER / f"runs-{current_job().id}").read_text().split()) < 2:
        raise ValueError("not yet")
    return 7
"""
)


def test_due_jobs_and_those_of_a_lost_host_run_without_a_scaler(short_leased: FleetProcesses):
    fleet = short_leased
    app = fleet.write(replicas=(2, 2), tasks=TASKS)
    agents = {host: fleet.agent(host, "--max-replicas", "1") for host in "ab"}
    for host in agents:
        fleet.offered(on=host)
    scaler = fleet.scaler()
    hosts = {each.pid: each.host for each in fleet.ready(2)}
    held = app.wait.enqueue()
    fleet.running(held)
    scaler.kill()
    fleet.until(lambda: not fleet.raw.exists("reuse:leader"), "the end of its lead")

    jobs = [app.add.override(delay=0.1).enqueue(1, 2), app.flaky.enqueue()]
    agents[hosts[fleet.runs(held)[0]]].kill()
    fleet.until(lambda: len(fleet.runs(held)) == 2, "the second run")
    fleet.open()

    assert fleet.finished([held, *jobs]) == [fleet.runs(held)[1], 3, 7]
    assert {hosts[pid] for pid in fleet.runs(held)} == {"a", "b"}
    fleet.scaler()
    fleet.until(lambda: "a scaler leads again" in fleet.logs(), "what the agent says")
