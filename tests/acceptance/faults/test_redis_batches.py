"""Very many jobs at once: no script is given more than it can take, and nobody idles."""

from pathlib import Path

import pytest

from support.faulty_redis import fleet_at, server

pytestmark = pytest.mark.timeout(120)
MANY = 100_000
SOME = 20_000


def test_a_hundred_thousand_jobs_in_one_call_keep_the_fleet_busy(tmp_path: Path):
    with server() as made, fleet_at(made.url, tmp_path) as fleet:
        app = fleet.write(replicas=(0, 1), concurrency=500, tasks=TASKS)
        fleet.serve()
        jobs = app.nothing.enqueue_many(() for _ in range(MANY))
        assert len({job.id for job in jobs}) == MANY
        fleet.until(lambda: fleet.snapshot().finished_total >= SOME, "many of them", within=90)
        # The order is that of the calls, and each is somewhere, once.
        assert fleet.raw.xlen(f"rq:results:{jobs[0].id}") == 1
        seen = fleet.snapshot()
        assert seen.finished_total + seen.demand == MANY
        assert fleet.raw.lindex(f"rq:queue:{app.env.name}", -1).decode() == jobs[-1].id


TASKS = """
@env.task
async def nothing() -> None:
    pass
"""
