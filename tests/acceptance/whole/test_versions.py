"""New code takes over without losing a job; code that cannot start takes nothing down."""

import signal
import subprocess
from datetime import timedelta

import pytest

from reuse_queue.facts import ActionKind
from reuse_queue.job import JobStatus
from support.fleet_processes import ENV, FleetProcesses
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(60)

VERSION = "@env.task\nasync def version() -> int:\n    return {number}\n"
NO_MODEL = """
@env.on_start
async def load() -> None:
    if not (FOLDER / "model").exists():
        raise RuntimeError("no such model")
"""


def reload(agent: "subprocess.Popen[bytes]") -> None:
    agent.send_signal(signal.SIGHUP)


def test_new_code_starts_before_the_old_goes_and_no_job_is_lost(fleet: FleetProcesses):
    fleet.write(tasks=COROUTINES + VERSION.format(number=1))
    _, agent = fleet.serve()
    app = fleet.write(tasks=COROUTINES + VERSION.format(number=2))
    held = app.wait.enqueue_many([()] * 4)
    fleet.running(*held)
    old = fleet.ready(2)
    more = app.doze.enqueue_many([(0.01,)] * 40)
    reload(agent)
    new = fleet.offered(other_than=old[0].version)

    def taken_over() -> bool:
        replicas = fleet.snapshot().replicas
        ready = [each for each in replicas if each.ready_at and not each.drain_reason]
        return bool(ready) and {each.version for each in ready} == {new}

    fleet.until(taken_over, "the new version alone")
    assert fleet.finished([app.version.enqueue()]) == [2]
    fleet.open()
    assert set(fleet.finished(held)) == {each.pid for each in old}
    fleet.finished(more)
    fleet.gone(*(each.name for each in old))
    assert {job.job().deliveries_lost for job in (*held, *more)} == {0}
    assert fleet.snapshot().deaths == ()


def test_code_that_cannot_be_imported_leaves_the_old_one_serving_and_is_shown(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(1, 2))
    _, agent = fleet.serve()
    [old] = fleet.ready(1)
    fleet.write_broken("raise ValueError('half written')")
    reload(agent)
    fleet.until(lambda: any(host.broken for host in fleet.hosts()), "the breakage")
    shown = fleet.command("env", "show", ENV)
    assert "ValueError: half written" in shown
    assert "whole_app.py" in shown
    assert fleet.shown()["hosts"][0]["version"] == old.version
    jobs = app.wait.enqueue_many([()] * 4)
    fleet.running(*jobs)
    assert {each.version for each in fleet.ready(2)} == {old.version}
    fleet.open()
    fleet.finished(jobs)


def test_replicas_that_cannot_start_degrade_the_environment_until_the_code_is_mended(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 5), concurrency=1, tasks=COROUTINES + NO_MODEL)
    _, agent = fleet.serve("--max-replicas", "5")
    jobs = app.add.enqueue_many([(number, 1) for number in range(5)])
    fleet.until(lambda: fleet.snapshot().environment.degraded, "degraded")
    shown = fleet.command("env", "show", ENV)
    assert "degraded" in shown
    assert "RuntimeError: no such model" in shown
    assert "in load" in shown
    assert {job.status() for job in jobs} == {JobStatus.QUEUED}
    assert len(fleet.snapshot().deaths) >= 5
    fleet.write(replicas=(0, 5), concurrency=1)
    reload(agent)
    assert fleet.finished(jobs) == [1, 2, 3, 4, 5]
    assert {job.job().deliveries_lost for job in jobs} == {0}
    fleet.until(lambda: not fleet.snapshot().environment.degraded, "its recovery")


def test_between_starts_that_fail_the_wait_grows_and_the_next_good_one_serves(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(0, 1), tasks=COROUTINES + NO_MODEL)
    fleet.serve()
    job = app.add.enqueue(1, 2)
    fleet.until(lambda: len(fleet.snapshot().deaths) == 2, "two deaths")
    (fleet.folder / "model").touch()
    assert fleet.finished([job]) == [3]
    deaths = reversed(fleet.snapshot().deaths)
    decisions = reversed(fleet.decisions())
    starts = [
        each.at
        for each in decisions
        if each.at and ActionKind.START in {a.kind for a in each.actions}
    ]
    waits = [start - death.at for start, death in zip(starts[1:], deaths, strict=True)]
    assert waits[0] >= timedelta(seconds=1)
    assert waits[1] >= timedelta(seconds=2)
