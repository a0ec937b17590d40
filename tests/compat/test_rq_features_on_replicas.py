"""What stock rq's enqueue offers, on a replica of ours: a test for each row of docs/rq.md.

Callbacks are in test_rq_callbacks_on_replicas.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import redis
import rq
from rq import Queue, Repeat, Webhook, get_current_job
from rq.group import Group
from rq.job import Dependency, Job, JobStatus, Retry
from rq.rate_limit import RateLimit
from rq.results import Result

from integration.worker.conftest import Lab, name_of
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from reuse_queue.settings import Settings
from support import sample
from support.eventually import eventually

seen: list[Any] = []


@pytest.fixture(autouse=True)
def clean() -> None:
    seen.clear()


@pytest.fixture
def lab(raw: redis.Redis, settings: Settings) -> Lab:
    made = Lab(raw, settings)
    made.serve(double, note, fails, again, again_here, follow, follow_here, concurrency=1)
    return made


async def double(number: int = 1, *, factor: int = 2) -> int:
    return number * factor


async def note(word: str) -> str:
    seen.append(word)
    return word


async def fails(times: int = 99) -> str:
    seen.append("tried")
    if len(seen) <= times:
        raise ValueError("not yet")
    return "at last"


async def again(most: int, interval: int | list[int] = 0) -> str | Retry:
    return again_here(most, interval)


def again_here(most: int, interval: int | list[int] = 0) -> str | Retry:
    seen.append("ran")
    return Retry(max=most, interval=interval) if len(seen) < 3 else "enough"


async def follow(job_id: str) -> list[str]:
    await asyncio.sleep(0)
    return follow_here(job_id)


def follow_here(job_id: str) -> list[str]:
    job = get_current_job()
    assert isinstance(job, Job)
    assert job.id == job_id
    job.meta["half"] = "way"
    job.save_meta()
    return [job.get_status().value, job.origin, job.args[0]]


@pytest.fixture
def stock(lab: Lab) -> Queue:
    return Queue(lab.env.name, connection=lab.raw, serializer="json")


async def ended(lab: Lab, *jobs: Job) -> None:
    def all_ended() -> bool:
        return not lab.held() and all(
            job.get_status() in (JobStatus.FINISHED, JobStatus.FAILED) for job in jobs
        )

    await eventually(all_ended, what=f"all of {[job.id for job in jobs]} have ended")


async def move_due(lab: Lab) -> None:
    """Do what the leading scaler does twice a second."""
    connection = Connection(lab.settings)
    await connection.arun(JobQueue(connection.keys).due(lab.env.name))
    await connection.aclose()


def make_due(lab: Lab, job: Job) -> float:
    """Let a scheduled job's time come; return how long it would have waited (s)."""
    key = f"rq:scheduled:{lab.env.name}"
    due: Any = lab.raw.zscore(key, job.id)
    lab.raw.zadd(key, {job.id: 1})
    return float(due) - datetime.now(UTC).timestamp()


# -- calls ----------------------------------------------------------------------------------


async def test_the_call_and_its_labels(lab: Lab, stock: Queue) -> None:
    by_name = stock.enqueue(name_of(double), 3, factor=5, job_id="mine", description="a word")
    by_function = stock.enqueue(double, args=(4,), kwargs={"factor": 2}, meta={"who": "me"})
    async with lab.replica():
        await ended(lab, by_name, by_function)
    assert (by_name.return_value(), by_function.return_value()) == (15, 8)
    fetched = Job.fetch("mine", connection=lab.raw, serializer="json")
    assert (fetched.description, by_function.get_meta()) == ("a word", {"who": "me"})


async def test_a_method_of_an_object_is_refused(lab: Lab, raw: redis.Redis) -> None:
    stock = Queue(lab.env.name, connection=raw, serializer="json")
    job = stock.enqueue("app.nowhere")
    data = lab.env.serializer.dumps(("upper", "an object", [], {}))
    raw.hset(job.key, "data", data)
    async with lab.replica():
        await ended(lab, job)
    assert "the job calls the method 'upper' of an object" in str(job.latest_result().exc_string)


async def test_a_task_itself_is_refused_with_what_to_give_to_rqs_enqueue(
    raw: redis.Redis, settings: Settings
) -> None:
    lab = Lab(raw, settings)
    lab.env = sample.pickled
    job = Queue(lab.env.name, connection=raw).enqueue(sample.keep, 1)
    by_name = Queue(lab.env.name, connection=raw).enqueue(sample.keep.name, 2)
    async with lab.replica():
        await ended(lab, job, by_name)
    assert by_name.return_value() == 2
    assert (
        "tasks are functions: give rq's enqueue the task's name, 'support.sample.keep', or call "
        "the task's own enqueue"
    ) in str(job.latest_result().exc_string)


def test_rqs_json_cannot_write_a_task_and_leaves_nothing_behind(raw: redis.Redis) -> None:
    stock = Queue(sample.plain.name, connection=raw, serializer="json")
    with pytest.raises(TypeError, match="SyncTask is not JSON serializable"):
        stock.enqueue(sample.add, 1, 2)
    assert (raw.keys("rq:job:*"), stock.count) == ([], 0)


async def test_the_place_in_the_queue(lab: Lab, stock: Queue) -> None:
    for word in "ab":
        stock.enqueue(note, word)
    stock.enqueue(note, "first", at_front=True)
    last = stock.enqueue(note, "last")
    async with lab.replica():
        await ended(lab, last)
    assert seen == ["first", "a", "b", "last"]


async def test_many_at_once_and_in_a_pipeline(lab: Lab, stock: Queue) -> None:
    jobs = stock.enqueue_many([Queue.prepare_data(note, (word,)) for word in "abc"])
    with lab.raw.pipeline() as pipeline:
        jobs.append(stock.enqueue(note, "d", pipeline=pipeline))
        pipeline.execute()
    async with lab.replica():
        await ended(lab, *jobs)
    assert seen == [*"abcd"]


async def test_unique_ids(lab: Lab, stock: Queue) -> None:
    job = stock.enqueue(note, "once", job_id="one", unique=True)
    with pytest.raises(rq.exceptions.DuplicateJobError):
        stock.enqueue(note, "twice", job_id="one", unique=True)
    async with lab.replica():
        await ended(lab, job)
    assert seen == ["once"]


# -- how long things last -------------------------------------------------------------------


async def test_what_is_kept_for_how_long(lab: Lab, stock: Queue) -> None:
    forever = stock.enqueue(double, result_ttl=-1)
    briefly = stock.enqueue(double, result_ttl=70)
    lost = stock.enqueue(double, result_ttl=0)
    failed = stock.enqueue(fails, failure_ttl=90)
    async with lab.replica():
        await ended(lab, forever, briefly, failed)
        await eventually(lambda: not lab.raw.exists(lost.key))
    assert lab.raw.ttl(forever.key) == -1
    assert 60 < lab.raw.ttl(briefly.key) <= 70
    assert 80 < lab.raw.ttl(failed.key) <= 90


async def test_a_job_that_has_expired_in_the_queue_does_not_run(lab: Lab, stock: Queue) -> None:
    expired, kept = stock.enqueue(note, "late", ttl=1), stock.enqueue(note, "in time")
    lab.raw.pexpire(expired.key, 1)
    await eventually(lambda: not lab.raw.exists(expired.key))
    async with lab.replica():
        await ended(lab, kept)
    assert seen == ["in time"]


async def test_a_timeout(lab: Lab, stock: Queue) -> None:
    lab.env.task(linger)
    job = stock.enqueue(linger, job_timeout=1)
    async with lab.replica():
        await ended(lab, job)
    assert "ran longer than its timeout of 1 s" in str(job.latest_result().exc_string)


async def linger() -> None:
    await asyncio.Event().wait()


# -- runs that follow -----------------------------------------------------------------------


async def test_retries_at_once_and_after_intervals(lab: Lab, stock: Queue) -> None:
    at_once = stock.enqueue(fails, 2, retry=Retry(max=2))
    async with lab.replica():
        await ended(lab, at_once)
        assert (at_once.return_value(), seen) == ("at last", ["tried"] * 3)
        seen.clear()
        later = stock.enqueue(fails, 2, retry=Retry(max=2, interval=[30, 60]))
        for wait in (30, 60):
            await eventually(lambda: later.get_status() is JobStatus.SCHEDULED)
            assert make_due(lab, later) == pytest.approx(wait, abs=10)
            await move_due(lab)
        await ended(lab, later)
    assert later.return_value() == "at last"


@pytest.mark.parametrize("task", [again, again_here])
async def test_a_returned_retry(lab: Lab, stock: Queue, task: Callable[..., Any]) -> None:
    enough = stock.enqueue(task, 2)
    async with lab.replica():
        await ended(lab, enough)
        assert enough.return_value() == "enough"
        kinds = [each.type for each in enough.results()]
        assert kinds == [Result.Type.SUCCESSFUL, Result.Type.RETRIED, Result.Type.RETRIED]

        seen.clear()
        too_few = stock.enqueue(task, 1, [30])
        await eventually(lambda: too_few.get_status() is JobStatus.SCHEDULED)
        assert make_due(lab, too_few) == pytest.approx(30, abs=10)
        await move_due(lab)
        await ended(lab, too_few)
    assert too_few.get_status() is JobStatus.FAILED
    kinds = [each.type for each in too_few.results()]
    assert kinds == [Result.Type.MAX_RETRIES_EXCEEDED, Result.Type.RETRIED]
    assert seen == ["ran"] * 2


async def test_repeats(lab: Lab, stock: Queue) -> None:
    job = stock.enqueue(note, "again", repeat=Repeat(times=2, interval=[0, 30]))
    async with lab.replica():
        await eventually(lambda: len(seen) == 2 and job.get_status() is JobStatus.SCHEDULED)
        assert make_due(lab, job) == pytest.approx(30, abs=10)
        await move_due(lab)
        await eventually(lambda: len(seen) == 3 and not lab.held())
        await ended(lab, job)
    assert [each.return_value for each in job.results()] == ["again"] * 3


async def test_scheduled_jobs(lab: Lab, stock: Queue) -> None:
    soon = stock.enqueue_in(timedelta(hours=1), note, "in an hour")
    at = stock.enqueue_at(datetime.now(UTC) + timedelta(days=1), note, "tomorrow")
    async with lab.replica():
        for job, hours in ((soon, 1), (at, 24)):
            await move_due(lab)
            assert job.get_status() is JobStatus.SCHEDULED
            assert make_due(lab, job) == pytest.approx(hours * 3600, abs=60)
            await move_due(lab)
            await ended(lab, job)
    assert seen == ["in an hour", "tomorrow"]


# -- jobs that wait for others --------------------------------------------------------------


async def test_dependencies(lab: Lab, stock: Queue) -> None:
    first, broken = stock.enqueue(note, "first"), stock.enqueue(fails)
    both = Dependency(jobs=[first, broken], allow_failure=True)
    after = stock.enqueue(note, "after", depends_on=both)
    never = stock.enqueue(note, "never", depends_on=broken)
    async with lab.replica():
        await ended(lab, first, broken, after)
    assert seen == ["first", "tried", "after"]
    assert never.get_status() is JobStatus.DEFERRED


async def test_groups(lab: Lab, stock: Queue) -> None:
    group = Group.create(connection=lab.raw)
    jobs = group.enqueue_many(stock, [Queue.prepare_data(double, (n,)) for n in (1, 2)])
    async with lab.replica():
        await ended(lab, *jobs)
    assert [job.return_value() for job in jobs] == [2, 4]
    assert lab.raw.smembers(group.key) == {job.id.encode() for job in jobs}


async def test_rate_limits(lab: Lab, stock: Queue) -> None:
    limit = RateLimit(key="few", concurrency=1)
    jobs = [stock.enqueue(note, word, rate_limit=limit) for word in "abc"]
    assert [job.get_status() for job in jobs[1:]] == [JobStatus.RATE_LIMITED] * 2
    async with lab.replica():
        await ended(lab, *jobs)
    assert sorted(seen) == [*"abc"]
    assert not lab.raw.exists("rq:rl:few:allowed", "rq:rl:few:rate_limited")


# -- webhooks -------------------------------------------------------------------------------


class Ear(BaseHTTPRequestHandler):
    """Hears requests; what it says in reply is an error where the path says so."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        told = json.loads(self.rfile.read(length)) if length else None
        self.send_response(500 if "broken" in self.path else 204)
        self.end_headers()
        seen.append((self.command, self.path, self.headers.get("X-Key"), told))

    do_POST = do_GET  # noqa: N815  # as the base class wants it

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def ear() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ear) as server:
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


async def test_webhooks_are_sent_when_the_end_is_recorded(lab: Lab, stock: Queue, ear: str) -> None:
    lab.env.allow_webhooks(f"{ear}/in/")
    hooks = [
        Webhook(f"{ear}/in/done?of=it", "finished", headers={"X-Key": "key"}),
        Webhook(f"{ear}/in/failed", "failed", method="POST"),
        Webhook(f"{ear}/in/broken", "failed"),
    ]
    async with lab.replica() as replica:
        done = stock.enqueue(double, webhooks=hooks)
        await ended(lab, done)
        await eventually(lambda: seen)
        assert seen == [("GET", "/in/done?of=it", "key", None)]
        seen.clear()
        failed = stock.enqueue(fails, 99, retry=Retry(max=1), webhooks=hooks)
        await ended(lab, failed)
        replica.daemon.stop()
        assert await replica.code() == 0
    heard = {each[1]: each for each in seen if each != "tried"}
    assert (len(seen), set(heard)) == (4, {"/in/failed", "/in/broken"})
    method, _, _, told = heard["/in/failed"]
    assert (method, told["job_id"], told["status"]) == ("POST", failed.id, "failed")
    assert told["func_name"] == name_of(fails)
    assert "ValueError: not yet" in told["exc_info"]
    assert datetime.fromisoformat(told["enqueued_at"]) <= datetime.fromisoformat(told["ended_at"])


async def test_the_webhook_of_a_payload_that_cannot_be_read_is_sent_without_reading_it(
    lab: Lab, stock: Queue, ear: str
) -> None:
    lab.env.allow_webhooks(f"{ear}/in/")
    job = stock.enqueue(note, "ran", webhooks=[Webhook(f"{ear}/in/", "failed", method="POST")])
    lab.raw.hset(job.key, "data", b"[" * 3000)
    async with lab.replica():
        await ended(lab, job)
        await eventually(lambda: seen)
        last = stock.enqueue(note, "last")
        await ended(lab, last)
    [(_, _, _, told), *others] = seen
    assert others == ["last"]
    assert (told["job_id"], told["func_name"]) == (job.id, "")
    assert "NotDeserializable" in told["exc_info"]


async def test_nothing_is_sent_for_what_no_key_has_signed(lab: Lab, stock: Queue, ear: str) -> None:
    lab.settings = replace(lab.settings, signing_keys=f"2026:{'n' * 32}")
    lab.env.bind(Connection(lab.settings))
    lab.env.allow_webhooks(f"{ear}/in/")
    job = stock.enqueue(note, "ran", webhooks=[Webhook(f"{ear}/in/", "failed", method="POST")])
    async with lab.replica() as replica:
        await ended(lab, job)
        replica.daemon.stop()
        assert await replica.code() == 0
    assert job.get_status() is JobStatus.FAILED
    assert seen == []


async def test_a_webhook_to_where_none_is_allowed_fails_its_job_before_it_runs(
    lab: Lab, stock: Queue, ear: str
) -> None:
    lab.env.allow_webhooks(f"{ear}/in/")
    allowed = Webhook(f"{ear}/in/", "failed")
    job = stock.enqueue(note, "ran", webhooks=[Webhook(f"{ear}/out/", "finished"), allowed])
    unreadable = stock.enqueue(note, "ran")
    lab.raw.hset(unreadable.key, "webhooks", "no JSON")
    async with lab.replica():
        await ended(lab, job, unreadable)
        await eventually(lambda: seen)
    assert seen == [("GET", "/in/", None, None)]
    for each, where in ((job, f"{ear}/out/"), (unreadable, "")):
        said = str(each.latest_result().exc_string)
        assert f"environment lab allows no webhook to {where!r}" in said


def test_only_the_beginning_of_a_url_with_a_host_and_a_path_can_be_allowed(lab: Lab) -> None:
    for wrong in ("https://hooks.example.com", "hooks.example.com/", "file:///etc/", ""):
        with pytest.raises(ValueError, match="must begin with http"):
            lab.env.allow_webhooks(wrong)


# -- the running job ------------------------------------------------------------------------


@pytest.mark.parametrize("task", [follow, follow_here])
async def test_rqs_current_job(lab: Lab, stock: Queue, task: Callable[..., Any]) -> None:
    job = stock.enqueue(task, "one", job_id="one")
    async with lab.replica():
        await ended(lab, job)
    assert job.return_value() == ["started", "lab", "one"]
    assert job.get_meta() == {"half": "way"}
    assert get_current_job() is None
