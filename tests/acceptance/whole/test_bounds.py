"""What jobs leave in Redis goes away in the end, whatever became of them."""

import re

import pytest

from soak.application import BATCH, OTHER, TASKS, Producer, at_rest
from support.fleet_processes import ENV, FleetProcesses

pytestmark = pytest.mark.timeout(120)

# What there is of a fleet that has nothing to do, none of it for a job.
STANDING = re.compile(
    rf"""
    rq:queues | rq:workers | rq:workers:({ENV}|{OTHER}) | rq:worker:({ENV}|{OTHER})-[a-z0-9-]+
    | reuse:(environments|hosts|host:a|leader|fence|mail:[0-9a-f]+)
    | reuse:{{({ENV}|{OTHER})}}:(environment|replicas|held|versions|decisions|assigned:a)
    | reuse:{{({ENV}|{OTHER})}}:replica:({ENV}|{OTHER})-[a-z0-9-]+
    """,
    re.VERBOSE,
)


def test_thousands_of_jobs_of_all_kinds_leave_nothing_once_their_time_is_over(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=2, concurrency=10, tasks=TASKS)
    app.env.bind(fleet.settings.redis_url)
    app.other.bind(fleet.settings.redis_url)
    fleet.serve("whole_app:other")
    fleet.ready(2)
    producer = Producer(app, fleet.raw)

    count = sum(producer.batch() for _ in range(5))

    assert count > 4 * BATCH
    fleet.until(lambda: at_rest(fleet.raw), "the end of all jobs", within=60)
    totals = [
        fleet.raw.hmget(f"reuse:{{{env}}}:environment", "finished", "failed")
        for env in (ENV, OTHER)
    ]
    finished, failed = (sum(int(each or 0) for each in pair) for pair in zip(*totals, strict=True))
    assert finished > 4.5 * BATCH
    assert failed == 5 * 41

    def left() -> list[str]:
        keys = (key.decode() for key in fleet.raw.scan_iter(count=1000))
        return sorted(key for key in keys if not STANDING.fullmatch(key))

    try:
        fleet.until(lambda: not left(), "the end of all that jobs leave", within=30)
    except AssertionError as error:
        raise AssertionError(f"{left()[:20]}\n{error}") from None
