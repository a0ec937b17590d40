"""A whole fleet on data that other programs have spoilt."""

import pytest

from reuse_queue import NewerFormat
from reuse_queue.facts import FORMAT
from support import odd_jobs
from support.fleet_processes import ENV, FleetProcesses

pytestmark = pytest.mark.timeout(90)


def batch() -> dict[bytes, dict[str, bytes]]:
    """Every odd payload, and every odd value of every field, each in a job of its own."""
    sound = {"status": b"queued", "origin": ENV.encode(), "data": b'["odd.task", null, [1, 2], {}]'}
    odd = {
        "data": odd_jobs.PAYLOADS,
        "timeout": odd_jobs.NUMBERS[4:],
        "result_ttl": odd_jobs.NUMBERS,
        "failure_ttl": odd_jobs.NUMBERS,
        "retries_left": odd_jobs.NUMBERS,
        "reuse_losses": odd_jobs.NUMBERS,
        "reuse_by": [b",", b"9,9", b"," + b"9" * 330, b"\xff"],
        "ttl": [b"-1", b"nan", b"inf", b"soon", b"\xff"],
        "enqueued_at": odd_jobs.TIMES,
        "success_callback_name": odd_jobs.NAMES,
    }
    return {
        f"{field}-{number}".encode() + b"\xff": sound | {field: value}
        for field, values in odd.items()
        for number, value in enumerate(values)
    }


def test_every_odd_job_ends_and_no_replica_dies_of_it(short_leased: FleetProcesses):
    fleet = short_leased
    app = fleet.write(replicas=(0, 2))
    fleet.serve()
    found = batch()
    before = app.add.enqueue_many([(number, 1) for number in range(5)])
    odd_jobs.write(fleet.raw, ENV, found, "whole_app.add")
    after = app.add.enqueue_many([(number, 2) for number in range(5)])
    assert fleet.finished([*before, *after]) == [*range(1, 6), *range(2, 7)]
    fleet.until(lambda: not odd_jobs.unended(fleet.raw, found), "the end of all")
    fleet.until(lambda: not fleet.raw.zcard(f"rq:wip:{ENV}"), "the end of all runs")
    seen = fleet.snapshot()
    assert seen.deaths == ()
    assert fleet.raw.hget(b"rq:job:data-0\xff", "status") == b"failed"
    assert fleet.raw.hget(b"rq:job:enqueued_at-0\xff", "status") == b"finished"
    assert "data-0" in fleet.command("jobs", "list", ENV, "--status", "failed", "--limit", "1000")


def test_a_key_of_another_type_is_named_and_costs_no_job_and_no_replica(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(1, 2))
    fleet.serve()
    assert fleet.finished([app.add.enqueue(1, 1)]) == [2]
    own = f"reuse:{{{ENV}}}"
    keys = [f"rq:wip:{ENV}", f"rq:finished:{ENV}", f"{own}:deaths", f"rq:failed:{ENV}"]
    for number, key in enumerate(keys):
        there = fleet.raw.exists(key)
        if there:
            fleet.raw.rename(key, "aside")
        fleet.raw.set(key, "no such thing")
        job = app.add.enqueue(number, 1)
        assert key in fleet.command("doctor", code=1)
        fleet.raw.delete(key)
        if there:
            fleet.raw.rename("aside", key)
        assert fleet.finished([job]) == [number + 1]
    assert fleet.snapshot().deaths == ()


def test_an_older_fleet_leaves_a_newer_environment_alone_and_says_what_to_do(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1))
    fleet.serve()
    record = f"reuse:{{{ENV}}}:environment"
    fleet.raw.hset(record, "format", FORMAT + 1)
    app.env.bind(fleet.settings)
    with pytest.raises(NewerFormat, match="of a newer release"):
        app.add.enqueue(1, 1)
    fleet.until(lambda: "environment cannot be scaled" in fleet.logs(), "the scaler's word")
    assert "upgrade it where this is read: the scaler" in fleet.logs()
    fleet.raw.hset(record, "format", FORMAT)
    assert fleet.finished([app.add.enqueue(1, 1)]) == [2]
    app.env.connection.close()
