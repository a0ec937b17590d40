"""Redis has no room: it takes no jobs, says why, and those that are there end."""

import contextlib
from datetime import timedelta
from pathlib import Path

import pytest

from reuse_queue import JobStatus, RedisRefused
from support.faulty_redis import fleet_at, server
from support.privileges import small_disk

pytestmark = pytest.mark.timeout(90)
LEASE_MS = 3000


def test_out_of_memory_it_takes_no_job_and_lets_those_that_are_there_end(tmp_path: Path):
    lease = timedelta(milliseconds=LEASE_MS)
    with server() as made, fleet_at(made.url, tmp_path, lease=lease) as fleet:
        app = fleet.write(replicas=(0, 2), concurrency=2)
        scaler, agent = fleet.serve()
        held = app.wait.enqueue_many([()] * 4)
        waiting = app.add.enqueue_many([(number, 1) for number in range(20)])
        fleet.running(*held)
        name = fleet.ready(2)[0].name
        leases = f"reuse:{{{app.env.name}}}:replicas"
        first = fleet.raw.zscore(leases, name)
        app.env.bind(made.url)
        fleet.raw.config_set("maxmemory", "1mb")
        before = set(fleet.raw.keys("*"))
        with pytest.raises(RedisRefused, match="is full: raise its maxmemory"):
            app.add.enqueue_many([(1, 1)] * 10)
        assert {key for key in set(fleet.raw.keys("*")) - before if b":job:" in key} == set()
        fleet.until(lambda: fleet.raw.zscore(leases, name) > first + 2 * LEASE_MS, "later beats")
        fleet.open()
        jobs = [*held, *waiting]
        assert fleet.finished(jobs)[4:] == list(range(1, 21))
        assert {len(fleet.runs(job)) for job in jobs} == {1}
        assert fleet.snapshot().deaths == ()
        fleet.raw.config_set("maxmemory", "0")
        assert fleet.finished([app.add.enqueue(1, 2)]) == [3]
        assert (scaler.poll(), agent.poll()) == (None, None)


def test_with_its_disk_full_it_takes_no_job_and_goes_on_once_there_is_room(tmp_path: Path):
    with (
        small_disk(tmp_path / "disk", 4) as disk,
        server(append_only=True, folder=disk, appendfsync="everysec") as made,
        fleet_at(made.url, tmp_path, lease=timedelta(seconds=30)) as fleet,
    ):
        app = fleet.write(replicas=(0, 2), concurrency=2)
        scaler, agent = fleet.serve()
        held = app.wait.enqueue_many([()] * 4)
        fleet.running(*held)
        app.env.bind(made.url)
        accepted = []

        def refused() -> str:
            try:
                accepted.append(app.add.enqueue(1, 2))
            except RedisRefused as error:
                return str(error)
            return ""

        fill(disk / "filler")
        assert "is full: make room on its disk" in fleet.until(refused, "a refusal")
        fleet.open()
        log = fleet.folder / "agent-a.log"
        fleet.until(lambda: "outcomes refused by Redis" in log.read_text(), "refused outcomes")
        assert {job.status() for job in held} == {JobStatus.STARTED}
        (disk / "filler").unlink()
        fleet.until(lambda: not refused(), "room")
        assert fleet.finished(accepted) == [3] * len(accepted)
        fleet.finished(held)
        assert {len(fleet.runs(job)) for job in [*held, *accepted]} == {1}
        assert (scaler.poll(), agent.poll()) == (None, None)


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 12)):
            pass
