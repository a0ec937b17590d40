"""A reply that is lost on its way: the step was done, its caller does not know, and repeats it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from reuse_queue.broker.scripts import script
from reuse_queue.errors import RedisUnavailable
from reuse_queue.job import ClaimedJob, JobStatus, NewJob, Recorded, Terms, Verdict
from support.proxy import LossyProxy
from support.server import RedisServer
from support.site import ENV, Site, failed, finished, outcome

PATIENCE = timedelta(seconds=5)
JOBS = [NewJob(id=f"j{n}", data=b"x", terms=Terms(description="")) for n in range(3)]
IDS = [job.id for job in JOBS]


@pytest.fixture
def proxy(redis_server: RedisServer, tmp_path: Path) -> Iterator[LossyProxy]:
    made = LossyProxy(tmp_path, redis_server.socket)
    yield made
    made.close()


@pytest.fixture
def lossy(site: Site, proxy: LossyProxy) -> Iterator[Connection]:
    """A connection through the proxy, with every script loaded already."""
    for name in ("enqueue", "claim", "release", "finish", "cancel", "requeue", "due"):
        site.raw.script_load(script(name).text)
    made = Connection(replace(site.connection.settings, redis_url=proxy.url))
    yield made
    made.close()


@pytest.fixture
def queue(site: Site) -> JobQueue:
    return JobQueue(site.keys)


def lose(proxy: LossyProxy, step: str, meanwhile: Callable[[], object] | None = None) -> None:
    proxy.lose_reply_to(script(step).sha, meanwhile)


def test_an_enqueue_whose_reply_was_lost_enqueues_each_job_once(
    site: Site, queue: JobQueue, proxy: LossyProxy, lossy: Connection
) -> None:
    lose(proxy, "enqueue")

    # The repeat found them all written.
    assert lossy.run(queue.enqueue(ENV, JOBS), patience=PATIENCE) == 0

    assert proxy.lost == 1
    assert site.queue() == IDS


async def test_the_same_on_a_loop(
    site: Site, queue: JobQueue, proxy: LossyProxy, lossy: Connection
) -> None:
    lose(proxy, "enqueue")

    await lossy.arun(queue.enqueue(ENV, JOBS), patience=PATIENCE)
    await lossy.aclose()

    assert proxy.lost == 1
    assert site.queue() == IDS


def test_without_patience_the_caller_hears_that_redis_was_away(
    site: Site, queue: JobQueue, proxy: LossyProxy, lossy: Connection
) -> None:
    lose(proxy, "enqueue")

    with pytest.raises(RedisUnavailable):
        lossy.run(queue.enqueue(ENV, JOBS))

    assert lossy.run(queue.enqueue(ENV, JOBS)) == 0
    assert site.queue() == IDS


def test_what_was_enqueued_and_ran_before_the_repeat_does_not_run_again(
    site: Site, queue: JobQueue, proxy: LossyProxy, lossy: Connection
) -> None:
    lose(proxy, "enqueue")
    with pytest.raises(RedisUnavailable):
        lossy.run(queue.enqueue(ENV, JOBS))
    site.finish(*(finished(job) for job in site.claim()))

    assert lossy.run(queue.enqueue(ENV, JOBS)) == 0

    assert site.queue() == []
    assert site.claim() == []


@pytest.mark.parametrize("verdict", [Verdict.FINISHED, Verdict.FAILED, Verdict.CANCELED])
def test_what_ran_and_is_gone_before_the_repeat_does_not_run_again(
    site: Site, proxy: LossyProxy, lossy: Connection, verdict: Verdict
) -> None:
    patient = JobQueue(site.keys, patience=PATIENCE)
    gone = Terms(description="", result_ttl=timedelta(0), failure_ttl=timedelta(0))

    def run() -> None:
        for job in site.claim():
            site.finish(outcome(job, verdict))
        site.connection.run(patient.sweep(ENV))
        assert not site.raw.exists(*(site.keys.job(job_id) for job_id in IDS))

    lose(proxy, "enqueue", meanwhile=run)

    jobs = [job._replace(terms=gone) for job in JOBS]
    assert lossy.run(patient.enqueue(ENV, jobs), patience=PATIENCE) == len(JOBS)

    assert proxy.lost == 1
    assert site.queue() == []
    (mark,) = site.raw.scan_iter("reuse:{app}:enqueued:*")
    assert site.raw.ttl(mark) > PATIENCE.total_seconds()
    # An application's own id is free again, once its job is gone.
    assert lossy.run(patient.enqueue(ENV, jobs)) == len(JOBS)


def test_only_what_may_be_gone_too_soon_leaves_a_mark(site: Site, queue: JobQueue) -> None:
    patient = JobQueue(site.keys, patience=PATIENCE)
    gone = Terms(description="", result_ttl=timedelta(0))

    site.connection.run(patient.enqueue(ENV, JOBS))
    site.connection.run(queue.enqueue(ENV, [NewJob(id="gone", data=b"x", terms=gone)]))

    assert not list(site.raw.scan_iter("reuse:{app}:enqueued:*"))


def test_what_was_requeued_and_failed_anew_before_the_repeat_is_not_requeued_again(
    site: Site, queue: JobQueue, proxy: LossyProxy, lossy: Connection
) -> None:
    site.finish(failed(site.running("a")))

    def run() -> None:
        site.finish(*(failed(job) for job in site.claim()))

    lose(proxy, "requeue", meanwhile=run)
    assert lossy.run(queue.requeue(["a"]), patience=PATIENCE) == [JobStatus.FAILED]

    assert proxy.lost == 1
    assert site.queue() == []
    assert site.status("a") == "failed"


def test_jobs_whose_claim_was_never_heard_of_go_back_uncharged_and_in_order(
    site: Site, queue: JobQueue, proxy: LossyProxy, lossy: Connection
) -> None:
    site.connection.run(queue.enqueue(ENV, JOBS))
    (first,) = site.claim(count=1)
    lose(proxy, "claim")
    with pytest.raises(RedisUnavailable):
        lossy.run(site.leases.claim("r1", 2, "f" * 32))
    assert site.queue() == []

    lose(proxy, "release")
    lossy.run(site.leases.release("r1", known=[first.execution]), patience=PATIENCE)

    assert proxy.lost == 2
    assert site.queue() == IDS[1:]
    assert [job.deliveries_lost for job in site.claim()] == [0, 0]
    assert site.finish(finished(first)) == [Recorded.FINISHED]


@pytest.mark.parametrize("verdict", [Verdict.FINISHED, Verdict.FAILED])
def test_an_end_whose_reply_was_lost_is_recorded_once(
    site: Site, proxy: LossyProxy, lossy: Connection, verdict: Verdict
) -> None:
    job: ClaimedJob = site.running("a", retries_left=0)
    outcome = finished(job) if verdict is Verdict.FINISHED else failed(job)
    lose(proxy, "finish")

    said = lossy.run(site.leases.finish("r1", [outcome]), patience=PATIENCE)

    assert proxy.lost == 1
    assert said == [Recorded.LOST]
    assert len(site.results("a")) == 1
    assert site.status("a") == verdict.value
    assert site.raw.hget(site.keys.environment(ENV), verdict.value) == b"1"
    assert site.traces() == set()


def test_a_retry_whose_reply_was_lost_is_one_retry(
    site: Site, proxy: LossyProxy, lossy: Connection
) -> None:
    job = site.running("a", retries_left=2)
    lose(proxy, "finish")

    lossy.run(site.leases.finish("r1", [failed(job)]), patience=PATIENCE)

    assert site.queue() == ["a"]
    assert site.job("a")["retries_left"] == "1"


def test_a_cancel_and_a_requeue_bear_a_repeat(
    site: Site, queue: JobQueue, proxy: LossyProxy, lossy: Connection
) -> None:
    site.connection.run(queue.enqueue(ENV, JOBS))

    lose(proxy, "cancel")
    assert lossy.run(queue.cancel(IDS[:1]), patience=PATIENCE) == [JobStatus.CANCELED]
    assert list(site.registry("canceled")) == IDS[:1]
    lose(proxy, "requeue")
    assert lossy.run(queue.requeue(IDS[:1]), patience=PATIENCE) == [JobStatus.QUEUED]

    assert proxy.lost == 2
    assert site.queue() == [*IDS[1:], IDS[0]]


def test_what_became_due_unheard_is_queued_once(
    site: Site, queue: JobQueue, proxy: LossyProxy, lossy: Connection
) -> None:
    later = Terms(description="", delay=timedelta(hours=1))
    late = [job._replace(terms=later) for job in JOBS]
    site.connection.run(queue.enqueue(ENV, late))
    for job_id in IDS:
        site.raw.zincrby(site.keys.registry("scheduled", ENV), -3601, job_id)
    lose(proxy, "due")

    assert lossy.run(queue.due(ENV), patience=PATIENCE) == 0

    assert proxy.lost == 1
    assert sorted(site.queue()) == IDS
