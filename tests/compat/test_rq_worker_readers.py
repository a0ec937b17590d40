"""What our leases do, rq's own readers see: jobs, results, registries, workers, `rq info`."""

import pytest
import redis
from click.testing import CliRunner
from rq import Queue, Worker
from rq.cli import main as rq_command
from rq.job import Dependency, Job
from rq.rate_limit import RateLimit
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.results import Result

from reuse_queue.broker.connection import Connection
from support import rq_tasks
from support.server import RedisServer
from support.site import ENV, Site, canceled, failed, finished


@pytest.fixture
def site(connection: Connection, raw: redis.Redis) -> Site:
    made = Site(connection, raw)
    made.replica("r1")
    return made


@pytest.fixture
def queue(raw: redis.Redis) -> Queue:
    return Queue(ENV, connection=raw, serializer="json")


def fetch(queue: Queue, job_id: str) -> Job:
    return Job.fetch(job_id, connection=queue.connection, serializer="json")


def test_rq_reads_a_value_and_where_it_came_from(site: Site, queue: Queue) -> None:
    queue.enqueue(rq_tasks.double, 21, job_id="a")
    (job,) = site.claim()

    site.finish(finished(job, b'{"n": 42}'))

    found = fetch(queue, "a")
    result = found.latest_result()
    assert found.get_status() == "finished"
    assert found.return_value() == result.return_value == {"n": 42}
    assert (result.type, result.worker_name) == (Result.Type.SUCCESSFUL, "r1")
    assert result.execution_id == job.execution
    assert result.execution_started_at <= result.execution_ended_at
    assert FinishedJobRegistry(queue=queue).get_job_ids() == ["a"]


def test_rq_reads_a_failure_and_can_requeue_it(site: Site, queue: Queue) -> None:
    queue.enqueue(rq_tasks.broken, job_id="a")
    site.finish(*[failed(job, "Traceback\nValueError: ü") for job in site.claim()])

    registry = FailedJobRegistry(queue=queue)
    assert registry.get_job_ids() == ["a"]
    assert fetch(queue, "a").latest_result().exc_string == "Traceback\nValueError: ü"
    registry.requeue("a")

    assert [job.id for job in site.claim()] == ["a"]


def test_rq_reads_the_text_of_a_job_lost_too_often(site: Site, queue: Queue) -> None:
    queue.enqueue(rq_tasks.double, 1, job_id="a")
    site.raw.hset(site.keys.job("a"), "reuse_losses", 2)
    site.claim()
    site.raw.zadd(site.keys.replicas(ENV), {"r1": 1})

    site.connection.run(site.leases.reclaim())

    found = fetch(queue, "a")
    assert found.get_status() == "failed"
    assert "reuse_queue.errors.JobLost: job a was lost" in found.latest_result().exc_string


def test_rqs_own_cleanup_leaves_held_jobs_alone(site: Site, queue: Queue) -> None:
    queue.enqueue(rq_tasks.double, 1, job_id="a")
    (job,) = site.claim()

    registry = StartedJobRegistry(queue=queue)
    assert registry.get_job_and_execution_ids() == [("a", job.execution)]
    registry.cleanup(timestamp=site.now_ms() / 1000 + 60)

    assert registry.get_job_ids(cleanup=False) == ["a"]


def test_rqs_workers_are_our_replicas_with_all_they_hold(site: Site, queue: Queue) -> None:
    for number in range(3):
        queue.enqueue(rq_tasks.double, number, job_id=f"j{number}")
    jobs = site.claim(count=2)

    (worker,) = Worker.all(connection=site.raw)

    assert (worker.name, worker.get_state()) == ("r1", "busy")
    assert {each.job_id for each in worker.get_current_executions()} == {"j0", "j1"}
    site.finish(finished(jobs[0]), failed(jobs[1]))
    (worker,) = Worker.all(connection=site.raw)
    assert worker.get_state() == "idle"
    assert (worker.successful_job_count, worker.failed_job_count) == (1, 1)
    assert worker.get_current_executions() == []


def test_rq_info_shows_queue_and_replica(
    site: Site, queue: Queue, redis_server: RedisServer
) -> None:
    for number in range(3):
        queue.enqueue(rq_tasks.double, number, job_id=f"j{number}")
    site.claim(count=2)

    shown = CliRunner().invoke(
        rq_command, ["info", "--url", redis_server.url, "--raw"], catch_exceptions=False
    )

    assert shown.exit_code == 0
    assert f"queue {ENV} 1" in shown.output
    assert "worker r1" in shown.output


def test_dependents_run_when_their_parents_have_ended_well_enough(site: Site, queue: Queue) -> None:
    good = queue.enqueue(rq_tasks.double, 1, job_id="good")
    bad = queue.enqueue(rq_tasks.broken, job_id="bad")
    gone = queue.enqueue(rq_tasks.double, 1, job_id="gone")
    lenient = Dependency(jobs=[bad], allow_failure=True)
    queue.enqueue(rq_tasks.double, 2, job_id="after-good", depends_on=good)
    queue.enqueue(rq_tasks.double, 2, job_id="after-bad", depends_on=bad)
    queue.enqueue(rq_tasks.double, 2, job_id="despite-bad", depends_on=lenient)
    queue.enqueue(rq_tasks.double, 2, job_id="after-gone", depends_on=gone)

    jobs = {job.id: job for job in site.claim()}
    site.finish(finished(jobs["good"]), failed(jobs["bad"]), canceled(jobs["gone"]))

    assert set(queue.job_ids) == {"after-good", "despite-bad"}
    assert {*site.registry("deferred")} == {"after-bad", "after-gone"}
    assert {job.id for job in site.claim()} == {"after-good", "despite-bad"}


def test_a_dependent_added_while_its_parent_ran_is_released_too(site: Site, queue: Queue) -> None:
    parent = queue.enqueue(rq_tasks.double, 1, job_id="parent", result_ttl=0)
    (job,) = site.claim()
    queue.enqueue(rq_tasks.double, 2, job_id="child", depends_on=parent)

    site.finish(finished(job))

    assert queue.job_ids == ["child"]


@pytest.mark.parametrize("how", ["finished", "failed", "lost"])
def test_an_ended_job_gives_its_rate_limit_slot_to_the_next(
    site: Site, queue: Queue, how: str
) -> None:
    limit = RateLimit(key="k", concurrency=1)
    for name in ("first", "second"):
        queue.enqueue(rq_tasks.double, 1, job_id=name, rate_limit=limit)
    assert queue.job_ids == ["first"]
    (job,) = site.claim()

    if how == "lost":
        site.raw.hset(site.keys.job("first"), "reuse_once", "1")
        site.raw.zadd(site.keys.replicas(ENV), {"r1": 1})
        site.connection.run(site.leases.reclaim())
    else:
        site.finish(finished(job) if how == "finished" else failed(job))

    assert queue.job_ids == ["second"]
    assert site.raw.zrange("rq:rl:k:allowed", 0, -1) == [b"second"]


def test_a_job_that_rq_canceled_while_it_ran_stays_canceled(site: Site, queue: Queue) -> None:
    queue.enqueue(rq_tasks.double, 1, job_id="a")
    (job,) = site.claim()
    fetch(queue, "a").cancel()

    (recorded,) = site.finish(finished(job))

    assert recorded.value == "lost"
    assert fetch(queue, "a").get_status() == "canceled"
    assert fetch(queue, "a").latest_result() is None
    assert site.traces() == set()
