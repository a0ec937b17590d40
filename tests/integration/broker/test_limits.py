"""queue_timeout and deadline: kept by Redis' clock, whoever looks, however late."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from reuse_queue.broker.queue import JobQueue
from reuse_queue.job import Job, JobStatus, NewJob, Priority, Recorded, Terms, Verdict
from support.site import ENV, Site, failed, finished

HOUR = timedelta(hours=1)


@pytest.fixture
def queue(site: Site) -> JobQueue:
    return JobQueue(site.keys)


def enqueue(site: Site, **options: Any) -> str:
    """Enqueue one job with these options."""
    job = NewJob(id=uuid.uuid4().hex, data=b"payload", terms=Terms(description="", **options))
    assert site.connection.run(JobQueue(site.keys).enqueue(ENV, [job])) == 1
    return job.id


def pass_time(site: Site, job_id: str, hours: int = 2) -> None:
    """Move all that is to happen to a job that much nearer."""
    by = site.job(job_id).get("reuse_by", ",")
    moved = [str(int(each) - hours * 3_600_000) if each else "" for each in by.split(",")]
    site.raw.hset(site.keys.job(job_id), "reuse_by", ",".join(moved))
    site.raw.zincrby(site.keys.limits(ENV), -hours * 3_600_000, job_id)
    scheduled = site.keys.registry("scheduled", ENV)
    if site.raw.zscore(scheduled, job_id) is not None:
        site.raw.zincrby(scheduled, -hours * 3600, job_id)


def due(site: Site) -> int:
    return site.connection.run(JobQueue(site.keys).due(ENV))


def fetch(site: Site, job_id: str) -> Job:
    return site.connection.run(JobQueue(site.keys).fetch(job_id))


def limits(site: Site) -> list[str]:
    return [each.decode() for each in site.raw.zrange(site.keys.limits(ENV), 0, -1)]


def ended_for(site: Site, job_id: str, why: str) -> None:
    """Assert that a job has failed for that reason, with one result, and waits nowhere."""
    assert site.status(job_id) == "failed"
    assert why in site.error(job_id)
    assert len(site.results(job_id)) == 1
    assert [*site.registry("failed")] == [job_id]
    assert site.queue() == limits(site) == []
    assert site.registry("scheduled") == site.registry("wip") == {}
    assert site.raw.hget(site.keys.environment(ENV), "failed") == b"1"


NOT_STARTED = "reuse_queue.errors.QueueTimeout: job {} was not started within its queue_timeout of"
NOT_ENDED = "reuse_queue.errors.DeadlinePassed: job {} had not ended by its deadline, 3600 s"


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize(
    ("option", "why"), [("queue_timeout", NOT_STARTED), ("deadline", NOT_ENDED)]
)
def test_a_job_that_waits_too_long_fails_and_says_why(
    site: Site, option: str, why: str, priority: Priority
) -> None:
    other = enqueue(site)
    job_id = enqueue(site, priority=priority, **{option: HOUR})
    assert due(site) == 0
    assert fetch(site, job_id).status is JobStatus.QUEUED
    pass_time(site, job_id)
    site.raw.lrem(site.keys.queue(ENV), 0, other)

    due(site)

    ended_for(site, job_id, why.format(job_id))
    assert site.claim() == []


def test_no_replica_starts_a_job_whose_time_is_over_though_nobody_has_looked(site: Site) -> None:
    job_id = enqueue(site, queue_timeout=HOUR)
    beside = enqueue(site)
    pass_time(site, job_id)
    site.raw.zrem(site.keys.limits(ENV), job_id)
    claim = site.claims()
    assert [job.id for job in claim.jobs] == [beside]
    assert claim.dropped == (job_id,)
    assert limits(site) == [job_id]
    site.finish(*map(finished, claim.jobs))
    due(site)
    ended_for(site, job_id, "QueueTimeout")


def test_both_are_counted_by_redis_and_shown(site: Site) -> None:
    job_id = enqueue(
        site, delay=timedelta(seconds=10), queue_timeout=timedelta(seconds=1.5), deadline=HOUR
    )
    now_ms = site.now_ms()
    job = fetch(site, job_id)
    assert (job.queue_timeout, job.deadline) == (timedelta(seconds=1.5), HOUR)
    assert job.start_by is not None
    assert job.end_by is not None
    # The wait counts from when the job is due, the deadline from its enqueue.
    assert job.start_by.timestamp() * 1000 == pytest.approx(now_ms + 11_500, abs=1000)
    assert job.end_by - job.start_by == HOUR - timedelta(seconds=11.5)
    assert site.raw.zscore(site.keys.limits(ENV), job_id) == job.start_by.timestamp() * 1000


@pytest.mark.parametrize("how", ["given back", "retried"])
def test_a_job_that_was_taken_in_time_is_not_failed_for_its_wait(site: Site, how: str) -> None:
    job_id = enqueue(site, queue_timeout=HOUR, retries=1)
    (job,) = site.claim()
    assert job.ends_in is None
    pass_time(site, job_id)
    due(site)
    assert site.status(job_id) == "started"
    if how == "retried":
        assert site.finish(failed(job)) == [Recorded.RETRIED]
    else:
        site.connection.run(site.leases.release("r1", known=[]))
    site.raw.zadd(site.keys.limits(ENV), {job_id: 0})
    due(site)
    (job,) = site.claim()
    assert site.finish(finished(job)) == [Recorded.FINISHED]
    assert limits(site) == []
    shown = fetch(site, job_id)
    assert (shown.queue_timeout, shown.start_by) == (HOUR, None)


def test_a_replica_is_told_how_long_a_job_may_still_run(site: Site) -> None:
    enqueue(site, deadline=HOUR)
    (job,) = site.claim()
    assert job.ends_in is not None
    assert HOUR - timedelta(seconds=10) < job.ends_in <= HOUR


def test_no_retry_begins_after_the_deadline(site: Site) -> None:
    job_id = enqueue(site, deadline=HOUR, retries=3, retry_delays=(timedelta(hours=2),))
    (job,) = site.claim()
    assert site.finish(failed(job)) == [Recorded.FAILED]
    ended_for(site, job_id, "ValueError: no")


def test_a_retry_that_comes_too_late_after_all_fails(site: Site) -> None:
    job_id = enqueue(site, deadline=HOUR, retries=3, retry_delays=(timedelta(minutes=1),))
    (job,) = site.claim()
    assert site.finish(failed(job)) == [Recorded.RETRIED]
    pass_time(site, job_id)
    assert due(site) == 0
    ended_for(site, job_id, NOT_ENDED.format(job_id))


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (None, "killed by SIGKILL"),
        (Verdict.FAILED, "3600 s after it was enqueued, and its replica was killed"),
    ],
)
def test_a_job_whose_replica_dies_after_its_deadline_does_not_run_again(
    site: Site, verdict: Verdict | None, why: str
) -> None:
    job_id = enqueue(site, deadline=HOUR, retries=3)
    (job,) = site.claim()
    pass_time(site, job_id)
    due(site)
    assert site.status(job_id) == "started"
    assert limits(site) == [job_id]
    site.end("r1", {job.execution: verdict})
    assert "DeadlinePassed" in site.error(job_id)
    site.raw.zadd(site.keys.limits(ENV), {job_id: 0}, xx=True)
    due(site)
    ended_for(site, job_id, why)


def test_a_job_that_is_put_back_by_hand_has_its_time_anew(site: Site, queue: JobQueue) -> None:
    job_id = enqueue(site, queue_timeout=HOUR, deadline=2 * HOUR)
    pass_time(site, job_id, 3)
    due(site)
    assert site.connection.run(queue.requeue([job_id])) == [JobStatus.FAILED]
    job = fetch(site, job_id)
    assert job.status is JobStatus.QUEUED
    assert job.start_by is not None
    assert job.end_by is not None
    assert job.end_by - job.start_by == HOUR
    assert job.start_by.timestamp() * 1000 > site.now_ms()
    assert limits(site) == [job_id]


def test_what_has_ended_or_is_not_wanted_leaves_nothing_to_look_at(
    site: Site, queue: JobQueue
) -> None:
    enqueue(site, deadline=HOUR)
    site.finish(*map(finished, site.claim()))
    assert limits(site) == []
    canceled = enqueue(site, deadline=HOUR)
    site.connection.run(queue.cancel([canceled]))
    assert limits(site) == []
    deleted = enqueue(site, deadline=HOUR)
    site.raw.delete(site.keys.job(deleted))
    site.raw.zadd(site.keys.limits(ENV), {deleted: 0, "garbage": 0})
    due(site)
    assert limits(site) == []
