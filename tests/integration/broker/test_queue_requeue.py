"""requeue and due: jobs enter their queue again, or at their time."""

from datetime import timedelta

import pytest

from reuse_queue.broker.queue import JobQueue
from reuse_queue.job import JobStatus, NewJob, Terms
from support.site import ENV, Site, canceled, failed, finished


def requeue(site: Site, *job_ids: str) -> list[JobStatus | None]:
    return site.connection.run(JobQueue(site.keys).requeue(job_ids))


def due(site: Site, limit: int = 1000) -> int:
    return site.connection.run(JobQueue(site.keys).due(ENV, limit))


def schedule(site: Site, job_id: str, ago_s: float = 1, **fields: str | int) -> None:
    given = {"data": "payload", "status": "scheduled", "origin": ENV}
    site.raw.hset(site.keys.job(job_id), mapping=given | fields)
    site.raw.zadd(site.keys.registry("scheduled", ENV), {job_id: site.now_ms() / 1000 - ago_s})


# -- requeue --------------------------------------------------------------------------------


def test_a_failed_job_runs_again_as_if_it_were_new(site: Site) -> None:
    site.finish(failed(site.running("a", reuse_losses=2, reuse_deaths='["gone"]')))
    site.enqueue("b")

    assert requeue(site, "a") == [JobStatus.FAILED]

    assert site.queue() == ["b", "a"]
    assert site.registry("failed") == {}
    record = site.job("a")
    assert record["status"] == "queued"
    assert (record["started_at"], record["ended_at"], record["worker_name"]) == ("", "", "")
    assert "reuse_losses" not in record
    assert "reuse_deaths" not in record
    assert site.raw.ttl(site.keys.job("a")) == -1
    assert [job.id for job in site.claim()] == ["b", "a"]


def test_a_canceled_and_a_stopped_job_run_again_too(site: Site) -> None:
    site.finish(canceled(site.running("a")), failed(site.running("b")))
    site.raw.hset(site.keys.job("b"), "status", "stopped")

    assert requeue(site, "a", "b") == [JobStatus.CANCELED, JobStatus.STOPPED]

    assert site.queue() == ["a", "b"]
    assert (site.registry("canceled"), site.registry("failed")) == ({}, {})


def test_what_is_no_ended_job_is_left_as_it_is(site: Site) -> None:
    site.finish(finished(site.running("done")))
    site.running("now")
    site.enqueue("a")

    assert requeue(site, "done", "now", "a", "nobody") == [
        JobStatus.FINISHED,
        JobStatus.STARTED,
        JobStatus.QUEUED,
        None,
    ]

    assert site.queue() == ["a"]
    assert requeue(site) == []


def test_a_requeue_wakes_a_dormant_environment(site: Site) -> None:
    site.finish(failed(site.running("a")))
    site.raw.hset(site.keys.environment(ENV), "state", "dormant")

    requeue(site, "a")

    assert site.raw.hget(site.keys.environment(ENV), "state") == b"active"


def test_a_job_under_a_rate_limit_waits_for_a_place_again(site: Site) -> None:
    site.finish(failed(site.running("a", rate_limit_key="k", rate_limit_concurrency=1)))
    site.raw.zadd("rq:rl:k:allowed", {"other": 1})
    site.raw.hset(site.keys.job("other"), mapping={"status": "started", "origin": ENV})

    requeue(site, "a")

    assert (site.status("a"), site.queue()) == ("rate_limited", [])
    assert site.raw.zrange("rq:rl:k:rate_limited", 0, -1) == [b"a"]


# -- due ------------------------------------------------------------------------------------


def test_jobs_whose_time_has_come_are_queued_in_the_order_of_their_times(site: Site) -> None:
    site.enqueue("old")
    schedule(site, "second", ago_s=2)
    schedule(site, "first", ago_s=3)
    schedule(site, "future", ago_s=-60)

    assert due(site) == 2

    assert site.queue() == ["old", "first", "second"]
    assert list(site.registry("scheduled")) == ["future"]
    assert site.status("first") == "queued"
    assert site.job("first")["enqueued_at"] != ""
    assert due(site) == 0


def test_urgent_ones_go_to_the_front_in_the_same_order(site: Site) -> None:
    site.enqueue("old")
    schedule(site, "h2", ago_s=2, enqueue_at_front=1)
    schedule(site, "h1", ago_s=3, enqueue_at_front=1)
    ended = "2026-01-01T00:00:00.000000Z"
    schedule(site, "h3", ago_s=1, enqueue_at_front_on_retry=1, ended_at=ended)

    assert due(site) == 3

    assert site.queue() == ["h1", "h2", "h3", "old"]


def test_no_more_than_the_limit_become_due_at_once(site: Site) -> None:
    for n in range(5):
        schedule(site, f"j{n}", ago_s=10 - n)

    assert (due(site, 3), due(site, 3), due(site, 3)) == (3, 2, 0)

    assert site.queue() == [f"j{n}" for n in range(5)]


def test_an_id_without_a_job_is_dropped_but_not_before_its_writer_had_time(site: Site) -> None:
    """rq 2 schedules a job a moment before it writes its hash."""
    schedule(site, "long gone", ago_s=100)
    schedule(site, "being written", ago_s=0)
    site.raw.delete(site.keys.job("long gone"), site.keys.job("being written"))

    assert due(site) == 0

    assert list(site.registry("scheduled")) == ["being written"]


def test_a_due_job_wakes_a_dormant_environment(site: Site) -> None:
    schedule(site, "a")
    site.raw.hset(site.keys.environment(ENV), "state", "dormant")

    due(site)

    assert site.raw.hget(site.keys.environment(ENV), "state") == b"active"


def test_what_a_dead_rq_worker_left_ready_is_queued(site: Site) -> None:
    now_s = site.now_ms() / 1000
    for job_id, ago_s in (("left", 30), ("fresh", 0)):
        given = {"data": "payload", "status": "ready_to_enqueue", "origin": ENV}
        site.raw.hset(site.keys.job(job_id), mapping=given)
        site.raw.zadd(site.keys.registry("ready", ENV), {job_id: now_s - ago_s})

    assert due(site) == 1

    assert site.queue() == ["left"]
    assert list(site.registry("ready")) == ["fresh"]


@pytest.mark.parametrize("kind", ["finished", "failed"])
def test_registries_forget_what_has_expired_and_keep_what_is_for_ever(
    site: Site, kind: str
) -> None:
    now_s = site.now_ms() / 1000
    scores = {"kept": -1, "expired": now_s - 5, "later": now_s + 60, "ever": "+inf"}
    site.raw.zadd(site.keys.registry(kind, ENV), scores)

    due(site)

    assert set(site.registry(kind)) == {"kept", "later", "ever"}


def test_a_delayed_job_becomes_due(site: Site) -> None:
    queue = JobQueue(site.keys)
    late = NewJob(id="a", data=b"x", terms=Terms(description="", delay=timedelta(hours=1)))
    site.connection.run(queue.enqueue(ENV, [late]))
    site.raw.zincrby(site.keys.registry("scheduled", ENV), -3601, "a")

    assert due(site) == 1

    assert [job.id for job in site.claim()] == ["a"]
