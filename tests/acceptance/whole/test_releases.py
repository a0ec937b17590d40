"""Releases of different age in one fleet: what goes on, what is refused, and in which order to
upgrade."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from reuse_queue.facts import FORMAT
from support.fleet_processes import ENV, FleetProcesses
from support.next_release import next_release, this_release

pytestmark = pytest.mark.timeout(90)

OURS, NEXT = str(FORMAT), str(FORMAT + 1)
# Enqueues and awaits one job after another until it is told to stop; every result must be right.
APPLICATION = """
import whole_app
for number in range(1_000_000):
    assert whole_app.add.enqueue_and_wait(number, 1) == number + 1
    if (whole_app.FOLDER / "enough").exists():
        break
print("all right after", number)
"""


@pytest.fixture
def newer(tmp_path: Path) -> Sequence[str]:
    return next_release(tmp_path / "next")


def formats(fleet: FleetProcesses) -> dict[str, str]:
    """Return the formats of the orders, by hosts; this release's snapshot refuses newer ones."""
    found = {}
    for name in fleet.raw.zrange(f"reuse:{{{ENV}}}:replicas", 0, -1):
        key = f"reuse:{{{ENV}}}:replica:{name.decode()}"
        host, order = fleet.raw.hmget(key, "host", "format")
        found[host.decode()] = order.decode()
    return found


def replaced(fleet: FleetProcesses, older: subprocess.Popen[bytes], newer: Sequence[str]) -> None:
    """Put a scaler of the next release in the place of an older one."""
    scaler = fleet.scaler(through=newer)
    older.send_signal(signal.SIGTERM)
    assert fleet.ended(older) == 0
    fleet.until(lambda: fleet.leader() == scaler.pid, "the newer scaler's lead")


def deaths(fleet: FleetProcesses) -> int:
    return int(fleet.raw.xlen(f"reuse:{{{ENV}}}:deaths"))


def test_a_newer_scaler_starts_and_replaces_replicas_of_an_older_fleet(
    fleet: FleetProcesses, newer: Sequence[str]
):
    app = fleet.write(replicas=(0, 3), concurrency=1)
    scaler, _ = fleet.serve()
    held = [app.wait.enqueue()]
    fleet.running(*held)
    replaced(fleet, scaler, newer)
    held += app.wait.enqueue_many([()] * 2)
    fleet.running(*held)
    psutil.Process(fleet.runs(held[0])[0]).kill()
    fleet.until(lambda: len(fleet.runs(held[0])) == 2, "its second run")
    assert formats(fleet) == {"a": OURS}
    fleet.open()
    fleet.finished(held)
    assert deaths(fleet) == 1


def test_an_agent_of_the_next_release_waits_for_its_scaler_and_the_older_host_serves_on(
    fleet: FleetProcesses, newer: Sequence[str]
):
    app = fleet.write(replicas=(1, 4), concurrency=1)
    scaler, _ = fleet.serve()
    jobs = [app.add.enqueue(0, 1)]
    fleet.agent("b", "--max-replicas", "2", through=newer)
    fleet.until(lambda: fleet.raw.hget("reuse:host:b", "offers") not in (None, b"{}"), "its offers")
    said = f"is of a newer release of reuse_queue (data format {NEXT}; this one knows {OURS})"
    fleet.until(lambda: f"environment {ENV} {said}" in fleet.logs(), "the scaler's complaint")
    assert "upgrade it where this is read: the scaler" in fleet.logs()
    found = fleet.command("doctor", code=1)
    assert f"environment {ENV} {said}" in found
    assert "its agent is of a newer release" in found
    # An application that runs goes on; one that starts is to be upgraded.
    jobs += app.add.enqueue_many([(number, 1) for number in range(1, 5)])
    assert fleet.finished(jobs) == [1, 2, 3, 4, 5]
    assert fleet.ended(fleet.program(APPLICATION)) == 1
    assert f"NewerFormat: environment {ENV} {said}: upgrade it here" in fleet.logs()
    assert formats(fleet) == {"a": OURS}
    replaced(fleet, scaler, newer)
    held = app.wait.enqueue_many([()] * 4)
    fleet.running(*held)
    assert formats(fleet) == {"a": OURS, "b": NEXT}
    fleet.open()
    fleet.finished(held)
    assert deaths(fleet) == 0


def test_scalers_then_applications_then_agents_are_upgraded_while_jobs_go_on(
    fleet: FleetProcesses, newer: Sequence[str]
):
    fleet.write(replicas=(1, 4))
    scaler, agent_a = fleet.serve()
    agent_b = fleet.agent("b")
    fleet.offered(on="b")
    fleet.ready(1)
    older = fleet.program(APPLICATION)
    busy(fleet)
    replaced(fleet, scaler, newer)
    busy(fleet)
    younger = fleet.program(APPLICATION, through=newer)
    busy(fleet)
    for host, agent in (("a", agent_a), ("b", agent_b)):
        agent.send_signal(signal.SIGTERM)
        assert fleet.ended(agent) == 0
        fleet.agent(host, through=newer)
        fleet.until(lambda host=host: offers_anew(fleet, host), "the upgraded host")  # type: ignore[misc]
        busy(fleet)
    assert set(formats(fleet).values()) == {NEXT}
    fleet.open("enough")
    assert [fleet.ended(each) for each in (older, younger)] == [0, 0]
    logs = fleet.logs()
    assert logs.count("all right after") == 2
    assert "newer release" not in logs
    assert deaths(fleet) == 0


def busy(fleet: FleetProcesses) -> None:
    """Return when some more jobs have finished."""

    def finished() -> int:
        return int(fleet.raw.hget(f"reuse:{{{ENV}}}:environment", "finished") or 0)

    before = finished()
    fleet.until(lambda: finished() > before + 20, "more jobs")


def offers_anew(fleet: FleetProcesses, host: str) -> bool:
    """Return whether a host's agent is of the next release and offers the environment."""
    theirs, offers = fleet.raw.hmget(f"reuse:host:{host}", "format", "offers")
    return theirs == NEXT.encode() and ENV.encode() in offers


def test_processes_keep_to_the_scripts_of_the_release_that_they_were_started_with(
    fleet: FleetProcesses, tmp_path: Path
):
    through = this_release(tmp_path / "installed")
    app = fleet.write(replicas=(0, 2), concurrency=1)
    fleet.raw.set("reuse:leader", "another")
    fleet.scaler(through=through)
    fleet.agent(through=through)
    fleet.offered()
    fleet.until(lambda: "scaler started" in fleet.logs(), "the scaler's start")
    # Their package is upgraded where it is installed, to scripts that take other arguments.
    for path in (tmp_path / "installed").rglob("*.lua"):
        path.write_text("return redis.error_reply('of another release')")
    fleet.raw.delete("reuse:leader")
    job = app.wait.enqueue()
    fleet.running(job)
    psutil.Process(fleet.runs(job)[0]).kill()
    fleet.until(lambda: len(fleet.runs(job)) == 2, "its second run")
    # Its agent has said so: otherwise it would have waited for the end of a lease.
    assert b"SIGKILL" in fleet.raw.hget(f"rq:job:{job.id}", "reuse_deaths")
    fleet.open()
    fleet.finished([job])
