"""A replica that is killed for one of its jobs: the others there are nobody's fault."""

import pytest

from reuse_queue import JobCanceled, TaskFailed
from support.fleet_processes import ENV, FleetProcesses
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(90)

SYNC = """
@env.task
def stay() -> None:
    begin()
    time.sleep(600)

@env.task
def quick(number: int) -> int:
    begin()
    return number
"""
STUBBORN = """
@env.task(timeout=1)
async def stubborn() -> None:
    begin()
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass
"""
# What is claimed ahead goes back after a tenth of a second behind a long job: here it stays.
PATIENT = "from reuse_worker import claimer\nclaimer._STALL_S = 600\n"


def test_what_was_claimed_behind_a_canceled_plain_function_goes_back_uncharged(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    with (fleet.folder / "start/sitecustomize.py").open("a") as site:
        site.write(PATIENT)
    app = fleet.write(replicas=(0, 2), concurrency=1, tasks=SYNC)
    before = app.quick.enqueue_many([(number,) for number in range(100)])
    stay = app.stay.enqueue()
    after = app.quick.enqueue_many([(number,) for number in range(100)])
    fleet.serve("--max-replicas", "1")
    fleet.running(stay)
    [replica] = fleet.ready(1)
    held = f"rq:worker:{replica.name}:executions"
    fleet.until(lambda: fleet.raw.scard(held) > 3, "jobs claimed ahead")
    assert stay.cancel()
    with pytest.raises(JobCanceled):
        stay.result(timeout=20)
    assert fleet.finished([*before, *after]) == [*range(100)] * 2
    jobs = [*before, *after, stay]
    assert {(len(fleet.runs(job)), job.job().deliveries_lost) for job in jobs} == {(1, 0)}
    # Not one that left by itself and gave them back: it was killed while it held them.
    [death] = fleet.snapshot().deaths
    assert death.cause == "killed: a canceled job did not give way"
    assert death.held > 3
    assert fleet.raw.zcard(f"rq:canceled:{ENV}") == 1


def test_a_coroutine_that_ignores_its_timeout_fails_and_who_ran_beside_it_runs_again(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1), concurrency=4, tasks=COROUTINES + STUBBORN)
    fleet.serve()
    beside = app.wait.enqueue_many([()] * 2)
    fleet.running(*beside)
    stubborn = app.stubborn.enqueue()
    with pytest.raises(TaskFailed, match=r"JobTimeout.*its replica was killed"):
        stubborn.result(timeout=20)
    fleet.open()
    fleet.finished(beside)
    assert [len(fleet.runs(job)) for job in (stubborn, *beside)] == [1, 2, 2]
    assert {job.job().deliveries_lost for job in beside} == {0}
    assert [each.cause for each in fleet.snapshot().deaths] == [
        "killed: a job ran past its timeout"
    ]
