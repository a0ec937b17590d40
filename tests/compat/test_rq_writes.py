"""What we find of jobs that a stock `rq.Queue` wrote."""

from datetime import UTC, datetime, timedelta

import pytest
import redis
from rq import Callback, Queue, Repeat
from rq.job import Dependency, Job, Retry
from rq.rate_limit import RateLimit, RateLimitRegistry
from rq.worker import SimpleWorker

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from reuse_queue.job import JobStatus
from reuse_queue.serializer import SerializerName
from support.site import ENV, Site, failed, finished

BOTH = pytest.mark.parametrize("name", ["json", "pickle"])


@pytest.fixture
def site(connection: Connection, raw: redis.Redis) -> Site:
    made = Site(connection, raw)
    made.replica("r1")
    return made


@pytest.fixture
def stock(raw: redis.Redis) -> Queue:
    return Queue(ENV, connection=raw, serializer="json")


@pytest.fixture
def jobs(site: Site) -> JobQueue:
    return JobQueue(site.keys)


@BOTH
def test_a_stock_job_is_read_by_fetch_ids_and_counts(
    site: Site, jobs: JobQueue, name: SerializerName
) -> None:
    queue = Queue(ENV, connection=site.raw, serializer=name)
    queue.enqueue("app.classify", "x", job_id="a", retry=Retry(3), job_timeout=30)

    job = site.connection.run(jobs.fetch("a"))

    assert (job.environment, job.status, job.task) == (ENV, JobStatus.QUEUED, "app.classify")
    assert (job.timeout, job.retries_left) == (timedelta(seconds=30), 3)
    assert job.description == "app.classify('x')"
    assert job.enqueued_at is not None
    assert abs(job.enqueued_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert site.connection.run(jobs.ids(ENV, JobStatus.QUEUED, 0, 10)) == ["a"]
    assert site.connection.run(jobs.counts(ENV))[JobStatus.QUEUED] == 1


def test_a_stock_scheduled_job_becomes_due(site: Site, jobs: JobQueue, stock: Queue) -> None:
    stock.enqueue_in(timedelta(hours=1), "app.classify", job_id="a")
    stock.enqueue_in(timedelta(seconds=-5), "app.classify", job_id="late")
    job = site.connection.run(jobs.fetch("a"))
    assert job.status is JobStatus.SCHEDULED
    assert job.due_at is not None
    assert timedelta(minutes=59) < job.due_at - datetime.now(UTC) < timedelta(minutes=61)

    assert site.connection.run(jobs.due(ENV)) == 1

    assert [job.id for job in site.claim()] == ["late"]


def test_a_dependent_runs_after_all_that_it_depends_on(
    site: Site, jobs: JobQueue, stock: Queue
) -> None:
    one = stock.enqueue("app.classify", job_id="one")
    two = stock.enqueue("app.classify", job_id="two")
    stock.enqueue("app.classify", job_id="child", depends_on=[one, two])
    child = site.connection.run(jobs.fetch("child"))
    assert (child.status, child.dependencies) == (JobStatus.DEFERRED, ("one", "two"))
    assert site.connection.run(jobs.ids(ENV, JobStatus.DEFERRED, 0, 9)) == ["child"]

    first, second = site.claim()
    site.finish(finished(first))
    assert site.status("child") == "deferred"
    site.finish(finished(second))

    assert site.connection.run(jobs.counts(ENV))[JobStatus.DEFERRED] == 0
    assert [job.id for job in site.claim()] == ["child"]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_failed_parent_releases_only_those_that_allow_failures(
    site: Site, stock: Queue, allowed: bool
) -> None:
    parent = stock.enqueue("app.classify", job_id="parent")
    on = Dependency(jobs=[parent], allow_failure=allowed)
    stock.enqueue("app.classify", job_id="child", depends_on=on)

    site.finish(failed(site.claim()[0]))

    assert site.queue() == (["child"] if allowed else [])
    assert site.status("child") == ("queued" if allowed else "deferred")


def test_a_dependent_goes_to_its_own_queue_at_the_place_that_it_asked_for(
    site: Site, stock: Queue
) -> None:
    parent = stock.enqueue("app.classify", job_id="parent")
    other = Queue("other", connection=site.raw, serializer="json")
    site.raw.hset(site.keys.environment("other"), "state", "dormant")
    other.enqueue("app.classify", job_id="before")
    first = Dependency(jobs=[parent], enqueue_at_front=True)
    other.enqueue("app.classify", job_id="first", depends_on=first)
    other.enqueue("app.classify", job_id="last", depends_on=parent, ttl=60)

    site.finish(finished(site.claim()[0]))

    assert other.job_ids == ["first", "before", "last"]
    assert 0 < site.raw.ttl(site.keys.job("last")) <= 60
    assert site.raw.hget(site.keys.environment("other"), "state") == b"active"


def test_a_release_leaves_what_rqs_own_release_leaves(site: Site, stock: Queue) -> None:
    ours = stock.enqueue("math.sqrt", 4, job_id="ours")
    stock.enqueue("math.sqrt", 4, job_id="ours-child", depends_on=ours)
    site.finish(finished(site.claim()[0]))
    other = Queue("stock", connection=site.raw, serializer="json")
    theirs = other.enqueue("math.sqrt", 4, job_id="theirs")
    other.enqueue("math.sqrt", 4, job_id="theirs-child", depends_on=theirs)
    worker = SimpleWorker([other], connection=site.raw, serializer="json")
    worker.work(burst=True, max_jobs=1)

    def left(parent: str, queue: str) -> dict[str, object]:
        child = f"{parent}-child"
        return {
            "fields": set(site.job(child)),
            "status": site.status(child),
            "queue": site.raw.lrange(site.keys.queue(queue), 0, -1) == [child.encode()],
            "deferred": site.raw.exists(site.keys.registry("deferred", queue)),
            "ready": site.raw.exists(site.keys.registry("ready", queue)),
            "dependents": site.raw.exists(site.keys.dependents(parent)),
            "dependencies": site.raw.smembers(site.keys.dependencies(child)) == {parent.encode()},
        }

    assert left("ours", ENV) == left("theirs", "stock")
    assert Job.fetch("ours-child", connection=site.raw, serializer="json").is_queued


def test_a_dependent_under_a_rate_limit_waits_for_its_place(site: Site, stock: Queue) -> None:
    limit = RateLimit("k", 1)
    parent = stock.enqueue("app.classify", job_id="parent")
    for child in ("c1", "c2"):
        stock.enqueue("app.classify", job_id=child, depends_on=parent, rate_limit=limit)
    registry = RateLimitRegistry("k", site.raw)

    site.finish(finished(site.claim()[0]))

    first, second = sorted(("c1", "c2"), key=lambda child: str(site.status(child)))
    assert (site.status(first), site.status(second)) == ("queued", "rate_limited")
    assert registry.get_allowed_job_ids() == site.queue() == [first]
    site.finish(finished(site.claim()[0]))
    assert registry.get_allowed_job_ids() == site.queue() == [second]


def test_fields_that_are_not_ours_are_left_as_they_are(
    site: Site, jobs: JobQueue, stock: Queue
) -> None:
    stock.enqueue(
        "app.classify",
        job_id="a",
        repeat=Repeat(2, 5),
        on_success=Callback("app.told"),
        meta={"who": "me"},
    )
    site.connection.run(jobs.cancel(["a"]))
    site.connection.run(jobs.requeue(["a"]))

    job = Job.fetch("a", connection=site.raw, serializer="json")

    assert (job.repeats_left, job.repeat_intervals) == (2, [5])
    assert job._success_callback_name == "app.told"
    assert job.meta == {"who": "me"}
