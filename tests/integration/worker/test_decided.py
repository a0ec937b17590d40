"""Ends that came from outside: what a replica calls, sends and records of them."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import redis
from rq import Callback
from rq.job import Job, JobStatus, Retry
from rq.webhook import Webhook

from integration.worker.conftest import KEYS, Lab, name_of
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.lease import Leases, new_token
from reuse_queue.errors import JobLost, JobTimeout
from reuse_queue.facts import Death
from reuse_queue.job import Verdict
from support.eventually import eventually

seen: list[Any] = []


@pytest.fixture(autouse=True)
def clean() -> None:
    seen.clear()


async def stays() -> None:
    seen.append("ran")


def stays_here() -> None:
    seen.append("ran")


def mourn(job: Job, connection: redis.Redis, kind: type, error: Exception, trace: Any) -> None:
    assert connection.ping()
    assert error.__traceback__ is trace
    seen.append((job.id, kind, str(error), job.latest_result() is None))


async def amourn(job: Job, connection: Any, kind: type, error: Exception, trace: Any) -> None:
    assert await connection.ping()
    mourn(job, job.connection, kind, error, trace)


def rest(job: Job, connection: redis.Redis) -> None:
    assert connection.ping()
    seen.append((job.id, job.get_status(refresh=False)))


async def break_down(*_: object) -> None:
    raise LookupError("in the callback")


def serve(lab: Lab) -> None:
    lab.serve(stays, stays_here, concurrency=1)
    for each in (mourn, amourn, rest, break_down):
        lab.env.callback(each)


def lose(lab: Lab, connection: Connection, job: Job, verdict: Verdict | None) -> None:
    """Let a replica claim the job and die with it, for this."""
    lab.order("dead")
    lab.raw.hset(KEYS.replica("lab", "dead"), "state", "ready")
    leases = Leases(KEYS, "lab", lab.settings)
    [claimed] = connection.run(leases.claim("dead", 1, new_token())).jobs
    assert claimed.id == job.id
    death = Death(
        replica="dead",
        host="testhost",
        version="1",
        at=datetime.now(UTC),
        cause="killed: it was time",
        was_ready=True,
        age=timedelta(0),
        detail="",
    )
    connection.run(leases.end_replica(death, {claimed.execution: verdict}))


async def ended(lab: Lab, job: Job, status: JobStatus = JobStatus.FAILED) -> None:
    await eventually(lambda: job.get_status() is status and not lab.held())


def error_of(job: Job) -> str:
    result = job.latest_result()
    assert result is not None
    return str(result.exc_string)


@pytest.mark.parametrize("callback", [mourn, amourn])
@pytest.mark.parametrize("task", [stays, stays_here])
async def test_the_failure_callback_of_a_job_that_was_killed_for_its_timeout_is_called(
    lab: Lab, connection: Connection, task: Callable[..., Any], callback: Callable[..., Any]
) -> None:
    serve(lab)
    job = lab.enqueue(task, job_timeout=7, on_failure=Callback(name_of(callback)))
    lose(lab, connection, job, Verdict.FAILED)
    async with lab.replica():
        await ended(lab, job)
    why = (
        f"job {job.id} ran longer than its timeout of 7 s, or a callback of it longer than "
        "its own, and its replica was killed"
    )
    assert seen == [(job.id, JobTimeout, why, True)]
    assert error_of(job).startswith(f"reuse_queue.errors.JobTimeout: {why}\n")
    assert "replica dead on host testhost at" in error_of(job)
    assert error_of(job).rstrip().endswith("killed: it was time")
    assert len(job.results()) == 1


async def test_each_try_has_its_callback_and_the_job_is_tried_again(
    lab: Lab, connection: Connection
) -> None:
    serve(lab)
    job = lab.enqueue(stays, on_failure=Callback(name_of(mourn)), retry=Retry(max=1))
    lose(lab, connection, job, Verdict.FAILED)
    async with lab.replica():
        await ended(lab, job, JobStatus.FINISHED)
    assert [each[1] for each in seen[:-1]] == [JobTimeout]
    assert seen[-1] == "ran"


async def test_the_failure_callback_of_a_job_that_was_lost_for_good_is_called(
    lab: Lab, connection: Connection
) -> None:
    serve(lab)
    job = lab.enqueue(stays, on_failure=Callback(name_of(mourn)))
    lab.raw.hset(job.key, "reuse_once", 1)
    lose(lab, connection, job, None)
    async with lab.replica():
        await ended(lab, job)
    [(_, kind, why, _)] = seen
    assert kind is JobLost
    assert why.startswith(f"job {job.id} was lost with its replica once, and may run only once")
    assert "Replicas that were lost while they ran this job:" in error_of(job)


async def test_the_error_of_such_a_callback_is_recorded_beside_the_jobs(
    lab: Lab, connection: Connection
) -> None:
    serve(lab)
    job = lab.enqueue(stays, on_failure=Callback(name_of(break_down)))
    lose(lab, connection, job, Verdict.FAILED)
    async with lab.replica():
        await ended(lab, job)
    first, second = error_of(job).split("During handling of the above exception")
    assert "JobTimeout" in first
    assert "killed: it was time" in first
    assert "in the callback" in second


@pytest.mark.parametrize("text", ["", "TaskFailed: x", "NotReplicated: x", "_CHAINED: x", "x"])
async def test_an_end_that_names_an_error_of_another_kind_breaks_nothing(
    lab: Lab, text: str
) -> None:
    serve(lab)
    job = lab.enqueue(stays, on_failure=Callback(name_of(mourn)))
    run = lab.raw.hget(job.key, "enqueued_at")
    assert isinstance(run, bytes)
    end = {"verdict": "failed", "text": f"reuse_queue.errors.{text}", "run": run.decode()}
    lab.raw.hset(job.key, "reuse_decided", json.dumps(end))
    async with lab.replica() as running:
        await ended(lab, job)
        assert not running.done
    assert [each[1] for each in seen] == [JobLost]


@pytest.mark.parametrize("verdict", [Verdict.CANCELED, Verdict.STOPPED])
async def test_the_stopped_callback_of_a_job_that_did_not_give_way_is_called(
    lab: Lab, connection: Connection, verdict: Verdict
) -> None:
    serve(lab)
    job = lab.enqueue(
        stays_here, on_stopped=Callback(name_of(rest)), on_failure=Callback(name_of(mourn))
    )
    lose(lab, connection, job, verdict)
    async with lab.replica():
        await ended(lab, job, JobStatus(verdict.value))
    assert seen == [(job.id, JobStatus.STOPPED)]
    if verdict is Verdict.STOPPED:
        assert "stopped by a command" in error_of(job)


@pytest.mark.parametrize("end", ["on_failure", "on_stopped"])
async def test_what_is_no_callback_here_does_not_keep_the_job_from_ending(
    lab: Lab, connection: Connection, end: str
) -> None:
    serve(lab)
    named: dict[str, Any] = {end: Callback("os.system")}
    job = lab.enqueue(stays, **named)
    verdict = Verdict.FAILED if end == "on_failure" else Verdict.STOPPED
    lose(lab, connection, job, verdict)
    async with lab.replica():
        await ended(lab, job, JobStatus(verdict.value))
    assert seen == []
    assert ("JobTimeout" if end == "on_failure" else "stopped") in error_of(job)


async def test_the_webhooks_of_a_job_that_was_killed_are_sent(
    lab: Lab, connection: Connection
) -> None:
    class Ear(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    serve(lab)
    with ThreadingHTTPServer(("127.0.0.1", 0), Ear) as server:
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        lab.env.allow_webhooks(url)
        job = lab.enqueue(stays, webhooks=[Webhook(url, "failed", method="POST")])
        lose(lab, connection, job, Verdict.FAILED)
        async with lab.replica() as replica:
            await ended(lab, job)
            replica.daemon.stop()
            assert await replica.code() == 0
        server.shutdown()
        thread.join()
    [told] = seen
    assert b"killed: it was time" in told
    assert b"JobTimeout" in error_of(job).encode()
