"""enqueue, fetch, ids, counts: what applications write, and what operators see of it."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from reuse_queue.broker.queue import JobQueue
from reuse_queue.errors import JobNotFound
from reuse_queue.job import JobStatus, NewJob, Priority, Terms
from reuse_queue.serializer import serializer
from support.eventually import eventually_sync
from support.site import ENV, Site, failed, finished


@pytest.fixture
def queue(site: Site) -> JobQueue:
    return JobQueue(site.keys)


def new(job_id: str, **options: object) -> NewJob:
    data = serializer("json").dumps(("app.classify", None, (job_id,), {}))
    return NewJob(id=job_id, data=data, terms=Terms(description="app.classify(…)", **options))  # type: ignore[arg-type]


def put(site: Site, *jobs: NewJob) -> int:
    return site.connection.run(JobQueue(site.keys).enqueue(ENV, jobs))


def ids(site: Site, status: JobStatus, start: int = 0, count: int = 10) -> list[str]:
    return site.connection.run(JobQueue(site.keys).ids(ENV, status, start, count))


# -- enqueue --------------------------------------------------------------------------------


def test_jobs_run_in_the_order_of_their_enqueue(site: Site) -> None:
    assert put(site, *(new(f"j{n}") for n in range(2500))) == 2500

    assert [job.id for job in site.claim(count=3)] == ["j0", "j1", "j2"]
    assert site.queue()[-1] == "j2499"
    assert site.raw.smembers(site.keys.queues()) == {site.keys.queue(ENV).encode()}


def test_a_repeated_enqueue_changes_nothing_and_counts_nothing(site: Site) -> None:
    put(site, new("a"))
    (job,) = site.claim()

    assert put(site, new("a", retries=3), new("b"), new("b")) == 1

    assert site.queue() == ["b"]
    assert site.status(job.id) == "started"
    assert "retries_left" not in site.job("a")


def test_urgent_jobs_are_claimed_before_those_that_waited_before_them(site: Site) -> None:
    put(site, new("n1"), new("n2"))
    put(site, new("h1", priority=Priority.HIGH), new("n3"), new("h2", priority=Priority.HIGH))

    assert [job.id for job in site.claim()] == ["h1", "h2", "n1", "n2", "n3"]


def test_children_are_claimed_before_all_that_is_new_the_newest_first(site: Site) -> None:
    put(site, new("n1"), new("h1", priority=Priority.HIGH), new("n2"))
    put(site, new("old1", child=True), new("old2", child=True))
    put(site, new("new1", child=True), new("h2", priority=Priority.HIGH), new("new2", child=True))

    claimed = [job.id for job in site.claim()]

    assert claimed == ["new1", "new2", "old1", "old2", "h2", "h1", "n1", "n2"]


def test_a_child_that_is_tried_again_goes_to_the_front(site: Site) -> None:
    put(site, new("child", child=True, retries=1), new("n"))
    (child,) = site.claim(count=1)
    site.finish(failed(child))

    assert site.queue() == ["child", "n"]


def test_no_replica_that_waits_is_passed_over_for_urgent_jobs(site: Site) -> None:
    """Those that wait watch the queue alone: on an empty queue, everything goes there."""
    got: list[str | None] = []

    def wait(name: str) -> None:
        got.append(site.connection.run(site.leases.wait(name, timedelta(seconds=5))))

    site.replica("r2")
    waiting = [threading.Thread(target=wait, args=(name,)) for name in ("r1", "r2")]
    for each in waiting:
        each.start()
    eventually_sync(lambda: site.raw.info("clients")["blocked_clients"] == 2)

    put(site, new("n"), new("h", priority=Priority.HIGH))

    for each in waiting:
        each.join()
    assert sorted(map(str, got)) == ["h", "n"]


def test_a_delayed_job_is_scheduled_by_the_servers_clock(site: Site) -> None:
    before = site.now_ms() / 1000

    assert (
        put(site, new("later", delay=timedelta(seconds=90.5)), new("now", delay=timedelta(0))) == 2
    )

    assert site.queue() == ["now"]
    assert site.status("later") == "scheduled"
    due = site.registry("scheduled")["later"]
    assert before + 90.4 < due < site.now_ms() / 1000 + 90.6


def test_an_enqueue_wakes_a_dormant_environment_once(site: Site) -> None:
    site.raw.hset(site.keys.environment(ENV), mapping={"state": "dormant", "poke": "1"})
    with site.raw.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(site.keys.wake_channel())
        eventually_sync(lambda: site.raw.pubsub_numsub(site.keys.wake_channel())[0][1] == 1)

        put(site, new("delayed", delay=timedelta(days=1)))
        assert site.raw.hget(site.keys.environment(ENV), "state") == b"dormant"
        put(site, new("a"))
        put(site, new("b"))

        assert site.raw.hget(site.keys.environment(ENV), "state") == b"active"
        message = eventually_sync(lambda: heard.get_message(timeout=1))
        assert message["data"] == ENV.encode()
        assert heard.get_message(timeout=0.05) is None


def test_an_enqueue_costs_few_commands_however_many_jobs_it_brings(site: Site) -> None:
    put(site, new("warm"))
    site.raw.config_resetstat()

    put(site, *(new(f"j{n}") for n in range(1000)))

    calls = {name: each["calls"] for name, each in site.raw.info("commandstats").items()}
    assert calls["cmdstat_evalsha"] == 1
    assert calls["cmdstat_rpush"] == calls["cmdstat_sadd"] == 1
    assert sum(each for name, each in calls.items() if "config" not in name) < 3 * 1000 + 20


def test_large_payloads_are_sent_in_several_calls(site: Site) -> None:
    put(site, new("warm"))
    site.raw.config_resetstat()
    large = bytes(5 * 1024 * 1024)

    put(site, *(NewJob(id=f"j{n}", data=large, terms=Terms(description="")) for n in range(3)))

    assert site.raw.info("commandstats")["cmdstat_evalsha"]["calls"] == 3
    assert site.raw.hstrlen(site.keys.job("j2"), "data") == len(large)


# -- fetch ----------------------------------------------------------------------------------


def test_a_job_is_read_as_it_was_written(site: Site, queue: JobQueue) -> None:
    put(
        site,
        new("a", timeout=timedelta(seconds=1.5), retries=2, retry_delays=(timedelta(seconds=9),)),
    )

    job = site.connection.run(queue.fetch("a"))

    assert (job.environment, job.status, job.task) == (ENV, JobStatus.QUEUED, "app.classify")
    assert (job.timeout, job.retries_left) == (timedelta(seconds=2), 2)
    assert job.created_at == job.enqueued_at
    assert job.created_at is not None
    assert abs(job.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert (job.started_at, job.ended_at, job.due_at) == (None, None, None)


def test_fetch_tells_who_runs_a_job_and_when_a_scheduled_one_is_due(
    site: Site, queue: JobQueue
) -> None:
    put(site, new("a"), new("later", delay=timedelta(hours=1)))
    site.claim()

    later, a = site.connection.run(queue.fetch_many(["later", "gone", "a"]))

    assert (a.status, a.replica, a.due_at) == (JobStatus.STARTED, "r1", None)
    assert a.started_at is not None
    assert later.due_at is not None
    assert timedelta(minutes=59) < later.due_at - datetime.now(UTC) < timedelta(minutes=61)


def test_a_job_that_is_not_there_is_named(site: Site, queue: JobQueue) -> None:
    with pytest.raises(JobNotFound, match="'nobody'"):
        site.connection.run(queue.fetch("nobody"))


async def test_the_same_steps_run_on_a_loop(site: Site, queue: JobQueue, aconnection) -> None:
    assert await aconnection.arun(queue.enqueue(ENV, [new("a")])) == 1
    assert (await aconnection.arun(queue.fetch("a"))).id == "a"
    assert await aconnection.arun(queue.enqueue(ENV, [])) == 0


# -- ids and counts -------------------------------------------------------------------------


def test_queued_ids_are_listed_in_the_order_of_their_claims_page_by_page(site: Site) -> None:
    put(site, *(new(f"n{n}") for n in range(4)))
    put(site, new("h1", priority=Priority.HIGH), new("h2", priority=Priority.HIGH))
    every = ["h1", "h2", "n0", "n1", "n2", "n3"]

    assert ids(site, JobStatus.QUEUED) == every
    for start in range(7):
        for count in range(7):
            assert ids(site, JobStatus.QUEUED, start, count) == every[start : start + count]


def test_ended_jobs_are_listed_latest_first_and_running_ones_by_their_ids(site: Site) -> None:
    for n, ttl in enumerate((100, 200, 300)):
        site.finish(finished(site.running(f"done{n}"), result_ttl=timedelta(seconds=ttl)))
    site.running("now")

    assert ids(site, JobStatus.FINISHED, 0, 2) == ["done2", "done1"]
    assert ids(site, JobStatus.FINISHED, 2, 2) == ["done0"]
    assert ids(site, JobStatus.STARTED) == ["now"]
    assert ids(site, JobStatus.STOPPED) == []


def test_every_job_is_counted_where_it_is(site: Site, queue: JobQueue) -> None:
    site.finish(finished(site.running("finished")), failed(site.running("failed")))
    site.running("started")
    put(site, new("q1"), new("q2"), new("later", delay=timedelta(hours=1)))
    put(site, new("urgent", priority=Priority.HIGH))
    site.connection.run(queue.cancel(["q2"]))

    assert site.connection.run(queue.counts(ENV)) == {
        JobStatus.QUEUED: 2,
        JobStatus.STARTED: 1,
        JobStatus.FINISHED: 1,
        JobStatus.FAILED: 1,
        JobStatus.DEFERRED: 0,
        JobStatus.SCHEDULED: 1,
        JobStatus.CANCELED: 1,
        JobStatus.READY_TO_ENQUEUE: 0,
    }
