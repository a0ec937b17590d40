"""What rq 3.0 finds of jobs that our enqueue wrote, and what its own calls do to them."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from rq import Queue
from rq.exceptions import InvalidJobOperation
from rq.job import Job
from rq.job import JobStatus as RqStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry
from rq.scheduler import RQScheduler
from rq.worker import SimpleWorker

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from reuse_queue.job import JobStatus, NewJob, Priority, ResultKind, Terms
from reuse_queue.serializer import SerializerName, serializer
from support.site import ENV, Site, failed, finished

BOTH = pytest.mark.parametrize("written", ["json", "pickle"])


@pytest.fixture
def site(connection: Connection, raw: redis.Redis) -> Site:
    made = Site(connection, raw)
    made.replica("r1")
    return made


def put(site: Site, job_id: str, written: SerializerName = "json", **options: object) -> None:
    data = serializer(written).pack("math.hypot", (3, 4), {})
    new = NewJob(id=job_id, data=data, terms=Terms(description="math.hypot(3, 4)", **options))  # type: ignore[arg-type]
    assert site.connection.run(JobQueue(site.keys).enqueue(ENV, [new])) == 1


def stock(site: Site, written: SerializerName = "json") -> Queue:
    return Queue(ENV, connection=site.raw, serializer=written)


def fetch(site: Site, job_id: str, written: SerializerName = "json") -> Job:
    return Job.fetch(job_id, connection=site.raw, serializer=written)


@BOTH
def test_job_fetch_reads_what_we_wrote(site: Site, written: SerializerName) -> None:
    meta = serializer(written).dumps({"who": "me"})
    put(site, "a", written, retries=2, timeout=timedelta(seconds=30), meta=meta)

    job = fetch(site, "a", written)

    assert (job.func_name, list(job.args), job.kwargs) == ("math.hypot", [3, 4], {})
    assert (job.get_status(), job.origin, job.timeout) == (RqStatus.QUEUED, ENV, 30)
    assert (job.retries_left, job.retry_intervals) == (2, [0])
    assert job.meta == {"who": "me"}
    assert job.created_at == job.enqueued_at
    assert job.created_at is not None
    assert abs(job.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert stock(site, written).job_ids == ["a"]
    assert ENV in [queue.name for queue in Queue.all(connection=site.raw)]


@BOTH
def test_an_rq_worker_runs_what_we_wrote_and_we_read_its_result(
    site: Site, written: SerializerName
) -> None:
    put(site, "a", written)

    SimpleWorker([stock(site, written)], connection=site.raw, serializer=written).work(burst=True)

    status, record = site.connection.run(JobQueue(site.keys).result("a"))
    assert status is JobStatus.FINISHED
    assert record is not None
    assert record.kind is ResultKind.SUCCESSFUL
    assert serializer(written).loads(record.value or b"") == 5.0
    assert fetch(site, "a", written).return_value() == 5.0


def test_rqs_scheduler_queues_a_job_that_we_delayed(site: Site) -> None:
    put(site, "a", delay=timedelta(hours=1))
    queue = stock(site)
    registry = ScheduledJobRegistry(queue=queue)
    due = registry.get_scheduled_time("a")
    assert timedelta(minutes=59) < due - datetime.now(UTC) < timedelta(minutes=61)
    site.raw.zincrby(registry.key, -3601, "a")

    scheduler = RQScheduler([queue], connection=site.raw, serializer="json")
    scheduler.acquire_locks()
    scheduler.enqueue_scheduled_jobs()
    scheduler.release_locks()

    assert queue.job_ids == ["a"]
    assert fetch(site, "a").get_status() is RqStatus.QUEUED


def test_an_urgent_job_goes_to_the_front_in_rq_too(site: Site) -> None:
    put(site, "h", priority=Priority.HIGH, delay=timedelta(hours=1))
    assert fetch(site, "h").should_enqueue_at_front()


def test_rq_cancels_what_we_wrote_and_it_never_runs(site: Site) -> None:
    put(site, "a")
    put(site, "b")

    fetch(site, "a").cancel()

    assert [job.id for job in site.claim()] == ["b"]
    assert site.connection.run(JobQueue(site.keys).requeue(["a"])) == [JobStatus.CANCELED]
    assert [job.id for job in site.claim()] == ["a"]


def test_our_cancel_leaves_what_rqs_cancel_leaves(site: Site) -> None:
    put(site, "ours")
    put(site, "theirs")

    site.connection.run(JobQueue(site.keys).cancel(["ours"]))
    fetch(site, "theirs").cancel()

    ours, theirs = site.job("ours"), site.job("theirs")
    differ = {name for name in ours | theirs if ours.get(name) != theirs.get(name)}
    assert differ <= {"created_at", "enqueued_at"}
    assert stock(site).canceled_job_registry.get_job_ids() == ["ours", "theirs"]
    assert stock(site).job_ids == []
    with pytest.raises(InvalidJobOperation, match="already canceled"):
        fetch(site, "ours").cancel()


def test_rq_puts_back_a_job_that_failed_here_and_it_runs(site: Site) -> None:
    put(site, "a")
    site.finish(failed(site.claim()[0]))
    assert FailedJobRegistry(ENV, connection=site.raw).get_job_ids() == ["a"]

    fetch(site, "a").requeue()

    (job,) = site.claim()
    site.finish(finished(job, value=b"1"))
    assert FinishedJobRegistry(ENV, connection=site.raw).get_job_ids() == ["a"]
    assert fetch(site, "a").return_value() == 1


def test_rqs_registries_keep_what_ours_keep(site: Site) -> None:
    """rq trims registries whenever it counts them: neither may forget what the other keeps."""
    put(site, "ever", result_ttl=None)
    put(site, "while")
    site.finish(*(finished(job) for job in site.claim()))
    put(site, "failed", failure_ttl=None)
    site.finish(failed(site.claim()[0]))

    site.connection.run(JobQueue(site.keys).due(ENV))

    assert FinishedJobRegistry(ENV, connection=site.raw).count == 2
    assert FailedJobRegistry(ENV, connection=site.raw).count == 1
    counts = site.connection.run(JobQueue(site.keys).counts(ENV))
    assert (counts[JobStatus.FINISHED], counts[JobStatus.FAILED]) == (2, 1)


def test_rq_info_lists_our_queue_and_replica_and_harms_no_running_job(site: Site) -> None:
    put(site, "running")
    site.claim()
    put(site, "waiting")
    program = Path(sys.executable).with_name("rq")

    shown = subprocess.run(
        [str(program), "info", "--url", site.connection.settings.redis_url, "--raw"],
        capture_output=True,
        text=True,
        check=True,
        timeout=25,
    ).stdout

    assert f"queue {ENV} 1" in shown
    assert "r1" in shown
    assert site.status("running") == "started"
    assert len(site.registry("wip")) == 1
