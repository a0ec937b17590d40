"""A replica that holds ten thousand jobs, half of them canceled: more than Lua can unpack."""

from __future__ import annotations

import json

import pytest

from reuse_queue.broker.fleet import Fleet
from reuse_queue.job import ClaimedJob
from support.site import ENV, STAMP, Site

MANY, AT_ONCE = 10_000, 1000


@pytest.fixture
def held(site: Site) -> list[ClaimedJob]:
    """What r1 holds, in the order of its claims."""
    ids = [f"job-{number:05}" for number in range(MANY)]
    pipe = site.raw.pipeline(transaction=False)
    for each in ids:
        fields = {"data": "payload", "status": "queued", "origin": ENV, "enqueued_at": STAMP}
        pipe.hset(site.keys.job(each), mapping=fields)
    pipe.rpush(site.keys.queue(ENV), *ids)
    pipe.execute()
    claimed = [job for _ in range(MANY // AT_ONCE) for job in site.claim(count=AT_ONCE)]
    assert [job.id for job in claimed] == ids
    return claimed


@pytest.fixture
def canceled(site: Site, held: list[ClaimedJob]) -> list[str]:
    """The ids of those that r1 is to cancel: every other one."""
    chosen = held[::2]
    site.raw.sadd(site.keys.cancels(ENV, "r1"), *(job.execution for job in chosen))
    return [job.id for job in chosen]


@pytest.fixture
def others(held: list[ClaimedJob]) -> list[str]:
    return [job.id for job in held[1::2]]


def ended(site: Site, canceled: list[str], back: list[str]) -> None:
    """Check that each job is where it belongs, and nothing that said it was held is left."""
    assert site.queue() == back
    assert sorted(site.registry("canceled")) == canceled
    assert {site.status(each) for each in canceled[:: AT_ONCE // 10]} == {"canceled"}
    assert {site.status(each) for each in back[:: AT_ONCE // 10]} == {"queued"}
    assert site.traces() == set()


def test_a_beat_renews_and_cancels_them_all(site: Site, held: list[ClaimedJob]):
    site.raw.sadd(site.keys.cancels(ENV, "r1"), *(job.execution for job in held))
    before = site.registry("wip")
    fleet = Fleet(site.keys, site.connection.settings)
    site.raw.zadd(site.keys.registry("wip", ENV), dict.fromkeys(before, 1))
    assert sorted(site.connection.run(fleet.beat(ENV, "r1")).cancel) == sorted(
        job.execution for job in held
    )
    assert min(site.registry("wip").values()) >= min(before.values())


def test_all_of_them_go_back_or_end_with_their_replica(
    site: Site, held: list[ClaimedJob], canceled: list[str], others: list[str]
):
    assert site.end("r1", {job.execution: None for job in held}) == MANY
    ended(site, canceled, others)
    assert {json.loads(site.job(each)["reuse_deaths"])[0] for each in others[::500]} == {
        json.loads(site.job(others[0])["reuse_deaths"])[0]
    }


def test_all_of_them_are_reclaimed_from_a_replica_that_is_lost(
    site: Site, canceled: list[str], others: list[str]
):
    site.raw.zadd(site.keys.replicas(ENV), {"r1": 1})
    assert site.connection.run(site.leases.reclaim()) == ["r1"]
    ended(site, canceled, others)


def test_all_of_them_are_given_back_by_a_replica_that_will_not_run_them(
    site: Site, canceled: list[str], others: list[str]
):
    assert site.connection.run(site.leases.release("r1", known=[])) == len(others)
    ended(site, canceled, others)


def test_what_a_guest_holds_of_another_environment_stays_with_it(
    site: Site, held: list[ClaimedJob]
):
    # They are leased there, and are that environment's.
    pipe = site.raw.pipeline(transaction=False)
    for job in held:
        pipe.hset(site.keys.job(job.id), "origin", "other")
    pipe.delete(site.keys.registry("wip", ENV))
    pipe.execute()
    assert site.end("r1", {}) == 0
    assert site.raw.scard(site.keys.worker_executions("r1")) == MANY
