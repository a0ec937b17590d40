"""cancel: jobs that wait end at once, jobs that run are ordered to."""

import json
from datetime import timedelta

import pytest

from reuse_queue.broker.queue import JobQueue
from reuse_queue.context import RunningJob, running
from reuse_queue.job import JobStatus, NewJob, Priority, Terms
from support.eventually import eventually_sync
from support.site import ENV, Site, failed, finished

Statuses = list[JobStatus | None]


def cancel(site: Site, *job_ids: str) -> Statuses:
    return site.connection.run(JobQueue(site.keys).cancel(job_ids))


def requeue(site: Site, *job_ids: str) -> Statuses:
    return site.connection.run(JobQueue(site.keys).requeue(job_ids))


def test_a_queued_job_is_canceled_and_leaves_the_queue(site: Site) -> None:
    site.enqueue("a", "b")

    assert cancel(site, "a") == [JobStatus.QUEUED]

    assert (site.status("a"), site.queue()) == ("canceled", ["b"])
    assert abs(site.registry("canceled")["a"] - site.now_ms() / 1000) < 5
    assert [job.id for job in site.claim()] == ["b"]


def test_an_urgent_job_is_canceled_too(site: Site) -> None:
    site.enqueue("a")
    urgent = NewJob(id="h", data=b"x", terms=Terms(description="", priority=Priority.HIGH))
    site.connection.run(JobQueue(site.keys).enqueue(ENV, [urgent]))

    assert cancel(site, "h") == [JobStatus.QUEUED]

    assert site.raw.llen(site.keys.urgent(ENV)) == 0


@pytest.mark.parametrize(
    ("kind", "status"),
    [("scheduled", "scheduled"), ("deferred", "deferred"), ("ready", "ready_to_enqueue")],
)
def test_a_job_that_does_not_wait_in_the_queue_leaves_its_registry(
    site: Site, kind: str, status: str
) -> None:
    site.raw.hset(site.keys.job("a"), mapping={"status": status, "data": "x", "origin": ENV})
    site.raw.zadd(site.keys.registry(kind, ENV), {"a": 1})

    assert cancel(site, "a") == [JobStatus(status)]

    assert site.registry(kind) == {}
    assert list(site.registry("canceled")) == ["a"]
    assert site.status("a") == "canceled"


def test_a_running_job_is_ordered_to_end_and_its_replica_hears_of_it(site: Site) -> None:
    job = site.running("a")
    channel = site.keys.replica_channel("r1")
    with site.raw.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(channel)
        eventually_sync(lambda: site.raw.pubsub_numsub(channel)[0][1] == 1)

        assert cancel(site, "a") == [JobStatus.STARTED]

        message = eventually_sync(lambda: heard.get_message(timeout=1))
    assert json.loads(message["data"]) == {"command": "stop-job", "job_id": "a"}
    assert site.raw.smembers(site.keys.cancels(ENV, "r1")) == {job.execution.encode()}
    assert site.status("a") == "started"
    assert site.registry("canceled") == {}


def test_an_execution_that_was_replaced_cancels_nothing(site: Site) -> None:
    """Its children are those of the one that goes on."""
    lost = site.running("parent")
    job = RunningJob(id=lost.id, execution=lost.execution, environment=ENV, replica="r1")
    site.enqueue("child", "other child")

    with running(job):
        assert cancel(site, "child") == [JobStatus.QUEUED]
    assert site.status("child") == "canceled"

    site.end("r1", {lost.execution: None})
    assert site.status("parent") == "queued"
    with running(job):
        assert cancel(site, "other child") == [JobStatus.QUEUED]
    assert site.status("other child") == "queued"


def test_a_job_that_a_stranger_runs_leaves_no_order_behind(site: Site) -> None:
    """A stock rq worker reads the message; nobody would ever delete a set for it."""
    site.running("a")
    site.raw.hset(site.keys.job("a"), "worker_name", "stock")

    assert cancel(site, "a") == [JobStatus.STARTED]

    assert site.raw.exists(site.keys.cancels(ENV, "stock")) == 0


def test_what_has_ended_is_left_as_it_is(site: Site) -> None:
    site.finish(finished(site.running("done")), failed(site.running("failed")))
    site.enqueue("a")

    assert cancel(site, "done", "nobody", "failed", "a", "a") == [
        JobStatus.FINISHED,
        None,
        JobStatus.FAILED,
        JobStatus.QUEUED,
        JobStatus.QUEUED,
    ]

    assert (site.status("done"), site.status("failed")) == ("finished", "failed")
    assert cancel(site, "a") == [JobStatus.CANCELED]
    assert cancel(site) == []


def test_jobs_of_several_environments_are_canceled_each_in_its_own(site: Site) -> None:
    site.enqueue("a", "b")
    site.enqueue("other", origin="elsewhere")
    site.raw.lrem(site.keys.queue(ENV), 0, "other")
    site.raw.rpush(site.keys.queue("elsewhere"), "other")

    assert cancel(site, "a", "other", "b") == [JobStatus.QUEUED] * 3

    assert site.raw.exists(site.keys.queue("elsewhere")) == 0
    assert site.raw.zcard(site.keys.registry("canceled", "elsewhere")) == 1


def test_a_job_deep_in_the_queue_never_runs_after_its_cancel(site: Site) -> None:
    ids = [f"j{n}" for n in range(2001)]
    site.enqueue(*ids)

    cancel(site, "j1000", "j999", "j1001")

    # The one in the very middle is left for a claim to drop.
    assert len(site.queue()) == 1999
    ran = [job.id for _ in range(3) for job in site.claim(count=1000)]
    assert ran == [each for each in ids if each not in {"j999", "j1000", "j1001"}]
    assert site.queue() == []


def test_a_job_canceled_deep_in_the_queue_and_put_back_runs_once(site: Site) -> None:
    site.enqueue(*(f"j{n}" for n in range(2001)))
    cancel(site, "j1000")
    requeue(site, "j1000")
    assert site.queue().count("j1000") == 2

    ran: list[str] = []
    while site.queue():
        jobs = site.claim(count=1000)
        ran += [job.id for job in jobs]
        site.finish(*(finished(job) for job in jobs))

    assert len(ran) == len(set(ran)) == 2001


def test_the_dependents_of_a_canceled_job_stay_deferred_as_in_rq(site: Site) -> None:
    site.enqueue("parent")
    site.raw.hset(site.keys.job("child"), mapping={"status": "deferred", "origin": ENV})
    site.raw.sadd(site.keys.dependents("parent"), "child")

    cancel(site, "parent")

    assert site.status("child") == "deferred"
    assert site.raw.smembers(site.keys.dependents("parent")) == {b"child"}


def test_the_place_of_a_canceled_job_under_a_rate_limit_goes_to_the_next(site: Site) -> None:
    site.enqueue("a", rate_limit_key="k")
    for waiting in ("b", "c"):
        fields = {"status": "rate_limited", "origin": ENV, "data": "x", "rate_limit_key": "k"}
        site.raw.hset(site.keys.job(waiting), mapping=fields)
    site.raw.hset("rq:rl:k", "concurrency", 1)
    site.raw.zadd("rq:rl:k:allowed", {"a": 1})
    site.raw.zadd("rq:rl:k:rate_limited", {"b": 1, "c": 2})

    cancel(site, "b")
    assert site.raw.zrange("rq:rl:k:rate_limited", 0, -1) == [b"c"]
    assert site.queue() == ["a"]

    cancel(site, "a")

    assert site.queue() == ["c"]
    assert site.raw.zrange("rq:rl:k:allowed", 0, -1) == [b"c"]
    assert (site.status("b"), site.status("c")) == ("canceled", "queued")


def test_a_scheduled_job_that_was_canceled_never_becomes_due(site: Site) -> None:
    queue = JobQueue(site.keys)
    late = NewJob(id="a", data=b"x", terms=Terms(description="", delay=timedelta(milliseconds=1)))
    site.connection.run(queue.enqueue(ENV, [late]))
    cancel(site, "a")
    eventually_sync(lambda: site.now_ms() % 10 == 0)

    assert site.connection.run(queue.due(ENV)) == 0
    assert site.queue() == []
