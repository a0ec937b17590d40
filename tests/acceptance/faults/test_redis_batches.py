"""Very many jobs at once: no script is given more than it can take, and nobody idles."""

from pathlib import Path

import pytest

from support.faulty_redis import fleet_at, server

pytestmark = pytest.mark.timeout(120)
MANY = 100_000


def test_a_hundred_thousand_jobs_in_one_call_are_worked_off(tmp_path: Path):
    with server() as made, fleet_at(made.url, tmp_path) as fleet:
        app = fleet.write(replicas=(0, 1), concurrency=500, tasks=TASKS)
        fleet.serve()
        jobs = app.nothing.enqueue_many(() for _ in range(MANY))
        assert len({job.id for job in jobs}) == MANY
        fleet.until(lambda: fleet.snapshot().finished_total == MANY, "all of them", within=90)
        assert fleet.snapshot().demand == 0
        for job in (jobs[0], jobs[MANY // 2], jobs[-1]):
            assert fleet.raw.xlen(f"rq:results:{job.id}") == 1
        assert fleet.raw.zcard(f"rq:finished:{app.env.name}") == MANY


TASKS = """
@env.task
async def nothing() -> None:
    pass
"""
