"""Hosts whose clocks are an hour apart: leases, schedules and retries go by Redis' clock alone."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from support.faulty_redis import fleet_at, server
from support.fleet_processes import FleetProcesses
from support.lacking import lacking

pytestmark = pytest.mark.timeout(90)

TASKS = """
@env.task
async def wait(gate: str = "gate") -> int:
    begin()
    while not (FOLDER / gate).exists():
        await asyncio.sleep(0.02)
    return int(time.time())

@env.task(retries=1, backoff=0.2)
async def fail_once() -> int:
    path = FOLDER / f"runs-{current_job().id}"
    first = not path.exists()
    begin()
    if first:
        raise ValueError("the first time")
    return int(time.time())
"""


LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def at(skew: str) -> list[str]:
    """The command that runs commands with another clock; what measures spans keeps its own."""
    preload = f"LD_PRELOAD={LIBRARIES[0]}"
    return ["env", preload, f"FAKETIME={skew}", "FAKETIME_DONT_FAKE_MONOTONIC=1"]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[FleetProcesses]:
    if not LIBRARIES:
        lacking("libfaketime is not installed (Debian: apt-get install faketime)")
    with server() as made, fleet_at(made.url, tmp_path, lease=timedelta(seconds=3)) as fleet:
        yield fleet


def test_clocks_an_hour_apart_end_no_lease_and_hold_no_job_back(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 2), concurrency=4, tasks=TASKS, idle=1)
    scaler = fleet.scaler(through=at("+1h"))
    fleet.agent("a", "--max-replicas", "1", through=at("+1h"))
    fleet.agent("b", "--max-replicas", "1", through=at("-1h"))
    fleet.offered(on="a")
    fleet.offered(on="b")
    held = app.wait.enqueue_many([()] * 8)
    fleet.running(*held)
    hosts = {each.host for each in fleet.ready(2)}
    later = app.wait.override(delay=0.5).enqueue()
    tried = app.fail_once.enqueue_many([()] * 4)
    # Leases that anybody measured by such a clock would be over at once, or never.
    first = fleet.raw.time()[0]
    fleet.until(lambda: fleet.raw.time()[0] > first + 4, "more than a lease")
    assert len(fleet.ready(2)) == 2
    fleet.open()
    seen = fleet.finished([*held, later])
    fleet.until(lambda: all(job.status().ended for job in tried), "all second tries")
    assert [len(fleet.runs(job)) for job in [*held, later]] == [1] * 9
    assert [len(fleet.runs(job)) for job in tried] == [2] * 4
    assert hosts == {"a", "b"}
    assert max(seen) - min(seen) > 7000
    assert fleet.snapshot().deaths == ()
    fleet.gone()
    assert scaler.poll() is None
