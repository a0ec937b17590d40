"""sweep: what is over leaves Redis in the end, also where none of rq's workers tidies up."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from rq import Queue
from rq.group import Group
from rq.job import Job
from rq.rate_limit import RateLimit

from reuse_queue.broker.queue import JobQueue
from support.eventually import eventually_sync
from support.site import ENV, Site, failed

YEAR = 31536000


@pytest.fixture
def stock(raw: redis.Redis) -> Queue:
    return Queue(ENV, connection=raw, serializer="json")


def sweep(site: Site, limit: int = 1000) -> int:
    return site.connection.run(JobQueue(site.keys).sweep(ENV, limit))


def swept(site: Site, done: Callable[[], bool], what: str) -> None:
    """Sweep until it is done: each looks at a sample."""

    def probe() -> bool:
        sweep(site)
        return done()

    eventually_sync(probe, what=what)


def kinds(site: Site) -> dict[bytes, tuple[bytes, int]]:
    return {key: (site.raw.type(key), site.raw.ttl(key)) for key in site.raw.keys("*")}


def keys_of(site: Site, job_id: str) -> list[bytes]:
    return list(site.raw.keys(f"*{job_id}*"))


def test_canceled_jobs_last_as_long_as_failed_ones_whoever_canceled_them(
    site: Site, stock: Queue
) -> None:
    stock.enqueue("math.hypot", 3, 4, job_id="theirs", failure_ttl=100).cancel()
    site.enqueue("ours", failure_ttl=200)
    site.enqueue("year")
    site.enqueue("ever", failure_ttl=-1)
    site.enqueue("never", failure_ttl=0)
    ours = ["ours", "year", "ever", "never"]
    site.connection.run(JobQueue(site.keys).cancel(ours))

    assert sweep(site) == 1

    lasts = {each: site.raw.ttl(site.keys.job(each)) for each in ["theirs", *ours]}
    expected = {"theirs": 100, "ours": 200, "year": YEAR, "ever": -1, "never": -2}
    assert all(abs(lasts[each] - ttl) <= 5 for each, ttl in expected.items()), lasts
    assert set(site.registry("canceled")) == {"theirs", "ours", "year", "ever"}
    assert keys_of(site, "never") == []


def test_a_canceled_job_that_has_expired_or_was_put_back_leaves_the_registry(site: Site) -> None:
    for each in ("gone", "kept"):
        site.enqueue(each)
    site.enqueue("back")
    site.connection.run(JobQueue(site.keys).cancel(["gone", "kept", "back"]))
    sweep(site)
    site.raw.delete(site.keys.job("gone"))
    site.raw.hset(site.keys.job("back"), "status", "queued")
    past = {each: time.time() - 1 for each in ("gone", "back")}
    site.raw.zadd(site.keys.registry("canceled", ENV), past)

    assert sweep(site) == 2

    assert list(site.registry("canceled")) == ["kept"]
    assert site.status("back") == "queued"


def test_a_deferred_job_lasts_until_long_after_the_last_that_could_release_it(
    site: Site, stock: Queue
) -> None:
    for parent in ("one", "two"):
        stock.enqueue("math.hypot", 3, 4, job_id=parent, failure_ttl=60)
    stock.enqueue("math.hypot", 3, 4, job_id="child", failure_ttl=300, depends_on=["one", "two"])
    site.finish(*(failed(job) for job in site.claim()))

    site.raw.delete(site.keys.job("one"))
    for _ in range(5):
        sweep(site)
    assert site.raw.ttl(site.keys.job("child")) == -1

    site.raw.delete(site.keys.job("two"))
    swept(site, lambda: site.raw.ttl(site.keys.job("child")) > 0, "an end for the child")
    assert 290 < site.raw.ttl(site.keys.job("child")) <= 300
    assert 290 < site.raw.ttl(site.keys.dependencies("child")) <= 300
    assert site.status("child") == "deferred"

    site.raw.delete(site.keys.job("child"))
    swept(site, lambda: not site.registry("deferred"), "its end in the registry")


def test_who_waits_for_an_ended_job_is_not_noted_for_longer_than_that_job_is_kept(
    site: Site, stock: Queue
) -> None:
    for parent in ("kept", "gone"):
        stock.enqueue("math.hypot", 3, 4, job_id=parent, failure_ttl=60)
    site.finish(*(failed(job) for job in site.claim()))
    for parent in ("kept", "gone"):
        stock.enqueue("math.hypot", 3, 4, depends_on=parent)
        assert site.raw.ttl(site.keys.dependents(parent)) == -1
    site.raw.delete(site.keys.job("gone"))

    swept(site, lambda: not site.raw.exists(site.keys.dependents("gone")), "the end of one set")
    swept(site, lambda: site.raw.ttl(site.keys.dependents("kept")) > 0, "an end for the other")


def test_many_deferred_jobs_that_are_gone_leave_in_a_few_sweeps(site: Site) -> None:
    long_ago = time.time() - 3600
    site.raw.zadd(site.keys.registry("deferred", ENV), {f"gone{n}": long_ago for n in range(2000)})
    site.raw.zadd(site.keys.registry("deferred", ENV), {"there": long_ago})
    site.raw.hset(site.keys.job("there"), mapping={"status": "deferred", "origin": ENV})

    first = sweep(site)

    assert 500 < first < 1100
    swept(site, lambda: list(site.registry("deferred")) == ["there"], "the end of all others")


def test_groups_keep_no_expired_jobs_and_empty_groups_go(site: Site, stock: Queue) -> None:
    whole, half = (Group.create(connection=site.raw, name=name) for name in ("whole", "half"))
    for group in (whole, half):
        ids = [f"{group.name}{n}" for n in range(50)]
        calls = [Queue.prepare_data("math.hypot", (3, 4), job_id=each) for each in ids]
        group.enqueue_many(stock, calls)
    for n in range(50):
        site.raw.delete(site.keys.job(f"whole{n}"))
    for n in range(25):
        site.raw.delete(site.keys.job(f"half{n}"))

    swept(site, lambda: site.raw.scard("rq:group:half") == 25, "the end of those that are gone")
    swept(site, lambda: not site.raw.exists("rq:group:whole"), "the end of the empty group")

    assert site.raw.smembers("rq:groups") == {b"half"}
    assert {job.id for job in half.get_jobs()} == {f"half{n}" for n in range(25, 50)}


def test_a_rate_limits_slot_of_a_job_that_is_gone_goes_to_the_next_and_unused_limits_go(
    site: Site, stock: Queue
) -> None:
    limit = RateLimit("api", 1)
    for each in ("first", "second"):
        stock.enqueue("math.hypot", 3, 4, job_id=each, rate_limit=limit)
    site.raw.delete(site.keys.job("first"))
    assert site.status("second") == "rate_limited"

    sweep(site)

    assert site.status("second") == "queued"
    assert site.queue() == ["first", "second"]
    (job,) = site.claim()
    sweep(site)
    assert site.raw.zrange("rq:rl:api:allowed", 0, -1) == [b"second"]

    Job.fetch("second", connection=site.raw, serializer="json").delete()
    site.finish(failed(job))
    swept(site, lambda: not site.raw.exists("rq:rl-keys"), "the end of the limit")
    assert keys_of(site, "rl") == []


def test_a_slot_is_not_given_away_while_its_job_runs_though_it_was_deleted(
    site: Site, stock: Queue
) -> None:
    for each in ("first", "second"):
        stock.enqueue("math.hypot", 3, 4, job_id=each, rate_limit=RateLimit("api", 1))
    site.claim()
    site.raw.delete(site.keys.job("first"))

    sweep(site)

    assert site.status("second") == "rate_limited"


def test_a_sweep_forgets_nothing_that_is_still_needed(site: Site, stock: Queue) -> None:
    stock.enqueue("math.hypot", 3, 4, job_id="parent")
    stock.enqueue("math.hypot", 3, 4, job_id="child", depends_on="parent")
    stock.enqueue_in(timedelta(hours=1), "math.hypot", 3, 4, job_id="later")
    stock.enqueue("math.hypot", 3, 4, job_id="limited", rate_limit=RateLimit("api", 1))
    before = kinds(site)

    assert sweep(site) == 0

    assert kinds(site) == before
