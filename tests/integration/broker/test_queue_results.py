"""result and ending: how a caller learns of a job's end."""

import threading

import pytest

from reuse_queue.broker.post import Post
from reuse_queue.broker.queue import JobQueue
from reuse_queue.job import Ending, JobStatus, ResultKind
from support.eventually import eventually_sync
from support.site import Site, canceled, failed, finished

LONG_S = 5.0


@pytest.fixture
def queue(site: Site) -> JobQueue:
    return JobQueue(site.keys)


def result(site: Site, job_id: str) -> Ending:
    return site.connection.run(JobQueue(site.keys).result(job_id))


def waited(site: Site, job_id: str) -> tuple[threading.Thread, list[Ending]]:
    """Wait for a job in a thread; return when the server holds the reply back."""
    got: list[Ending] = []

    def wait() -> None:
        got.append(Post(site.connection).ending(job_id, LONG_S))

    thread = threading.Thread(target=wait)
    thread.start()
    eventually_sync(lambda: site.raw.info("clients")["blocked_clients"] == 1)
    return thread, got


def test_a_value_comes_back_as_it_was_handed_in(site: Site) -> None:
    site.finish(finished(site.running("a"), value=b'{"x": 1}'))

    status, record = result(site, "a")

    assert status is JobStatus.FINISHED
    assert record is not None
    assert (record.kind, record.value, record.error) == (ResultKind.SUCCESSFUL, b'{"x": 1}', "")
    assert record.replica == "r1"
    assert record.created_at is not None


def test_a_failure_comes_back_as_its_traceback(site: Site) -> None:
    site.finish(failed(site.running("a"), error="Traceback …\nValueError: höchst"))

    status, record = result(site, "a")

    assert status is JobStatus.FAILED
    assert record is not None
    assert (record.kind, record.value) == (ResultKind.FAILED, None)
    assert record.error == "Traceback …\nValueError: höchst"


def test_a_job_that_is_not_there_has_neither_status_nor_result(site: Site) -> None:
    assert result(site, "nobody") == (None, None)


def test_a_record_of_a_returned_retry_is_not_final(site: Site) -> None:
    """rq's workers write such a record when a task returns a Retry."""
    site.enqueue("a", status="scheduled")
    site.raw.xadd(site.keys.results("a"), {"type": "4", "worker_name": "rq"})
    assert result(site, "a") == (JobStatus.SCHEDULED, None)

    site.raw.xadd(site.keys.results("a"), {"type": "5", "worker_name": "rq"})
    site.raw.xadd(site.keys.results("a"), {"type": "4", "worker_name": "rq"})
    site.raw.hset(site.keys.job("a"), "status", "failed")

    status, record = result(site, "a")

    assert status is JobStatus.FAILED
    assert record is not None
    assert record.kind is ResultKind.MAX_RETRIES_EXCEEDED


def test_the_earlier_failure_of_a_job_that_was_put_back_is_no_result(
    site: Site, queue: JobQueue
) -> None:
    site.finish(failed(site.running("a")))
    site.connection.run(queue.requeue(["a"]))
    assert result(site, "a") == (JobStatus.QUEUED, None)

    thread, got = waited(site, "a")
    (job,) = site.claim()
    site.finish(finished(job, value=b"2"))

    thread.join()
    ((status, record),) = got
    assert status is JobStatus.FINISHED
    assert record is not None
    assert record.value == b"2"


def test_a_wait_ends_as_soon_as_the_job_does(site: Site) -> None:
    job = site.running("a")
    thread, got = waited(site, "a")

    site.finish(finished(job, value=b"42"))

    thread.join(timeout=4)
    ((status, record),) = got
    assert status is JobStatus.FINISHED
    assert record is not None
    assert record.value == b"42"


def test_a_wait_that_is_over_says_how_far_the_job_is(site: Site) -> None:
    job, post = site.running("a"), Post(site.connection)
    assert post.ending("a", 0.001) == (JobStatus.STARTED, None)

    site.finish(canceled(job))

    assert post.ending("a", LONG_S) == (JobStatus.CANCELED, None)


def test_nobody_waits_for_a_job_that_has_ended_or_is_not_there(site: Site) -> None:
    site.finish(finished(site.running("a")))
    site.raw.config_resetstat()

    post = Post(site.connection)
    status, record = post.ending("a", LONG_S)
    assert (status, record is None) == (JobStatus.FINISHED, False)
    assert post.ending("nobody", LONG_S) == (None, None)
    assert "cmdstat_blmpop" not in site.raw.info("commandstats")
