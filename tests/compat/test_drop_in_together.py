"""Short jobs under backlog are claimed and recorded together, and nobody is the worse for it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from rq import Queue, Retry, SimpleWorker, get_current_job
from rq.job import Job
from rq.webhook import Webhook

from reuse_worker.rq_worker import ReuseWorker
from reuse_worker.rq_worker.books import Books
from support import rq_jobs
from support.eventually import eventually_sync
from support.server import RedisServer

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
QUIET = {"logging_level": "CRITICAL"}
worker: ReuseWorker
slept: list[float] = []


@pytest.fixture
def queue(raw: redis.Redis) -> Queue:
    return Queue("app", connection=raw)


def backlog(queue: Queue, count: int, start: int = 0, function: object = rq_jobs.note) -> list[Job]:
    names = [f"j{n}" for n in range(start, start + count)]
    jobs: list[Job] = queue.enqueue_many(
        [Queue.prepare_data(function, (name,), job_id=name) for name in names]
    )
    return jobs


def work(queue: Queue, **options: Any) -> None:
    global worker  # noqa: PLW0603  # for the jobs that run in it
    worker = ReuseWorker([queue], name="w1", connection=queue.connection)
    worker.work(**{"burst": True, **QUIET, **options})


def ran(raw: redis.Redis) -> list[str]:
    return [each.decode() for each in raw.lrange(rq_jobs.RUNS, 0, -1)]  # type: ignore[union-attr]


def states(queue: Queue, *names: str) -> list[str]:
    return [Job.fetch(each, connection=queue.connection).get_status().value for each in names]


def test_many_short_jobs_run_in_order_and_cost_few_round_trips(
    queue: Queue, raw: redis.Redis
) -> None:
    jobs = backlog(queue, 300)
    before = raw.info("commandstats")

    work(queue)

    after: Any = raw.info("commandstats")
    scripts = sum(
        stats["calls"] - before.get(name, {"calls": 0})["calls"]
        for name, stats in after.items()
        if name in {"cmdstat_evalsha", "cmdstat_eval"}
    )
    assert ran(raw) == [job.id for job in jobs]
    assert all(len(job.results()) == 1 and job.is_finished for job in jobs)
    assert raw.hget("rq:worker:w1", "successful_job_count") == b"300"
    assert scripts < 100, "one claim and one record for each job would be 600"


def test_what_waits_behind_a_long_job_goes_to_another_worker_at_once(
    queue: Queue, raw: redis.Redis, redis_server: RedisServer
) -> None:
    """And what had ended before it is recorded while it runs."""
    backlog(queue, 50)
    queue.enqueue(wait_for_the_others, job_id="long")
    backlog(queue, 50, start=50)

    def help_out() -> None:
        eventually_sync(lambda: "long began" in ran(raw))
        eventually_sync(lambda: queue.count == 50)
        in_a_child(redis_server, "w2")

    helper = threading.Thread(target=help_out)
    helper.start()
    work(queue)
    helper.join()

    assert Job.fetch("long", connection=raw).return_value() == 100
    assert [raw.hget(f"rq:worker:{each}", "successful_job_count") for each in ("w1", "w2")] == [
        b"51",
        b"50",
    ]


def wait_for_the_others() -> int:
    rq_jobs.note("long began")
    job = get_current_job()
    assert job is not None
    finished = job.connection.zcard
    eventually_sync(lambda: finished("rq:finished:app") == 100, within=20)
    return int(finished("rq:finished:app"))


def test_what_is_just_being_given_back_keeps_its_place_and_a_burst_going(
    queue: Queue, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The main thread moves on while the other one has the jobs in neither place."""
    give_back = ReuseWorker._give_back
    slowed = []

    def slowly(self: ReuseWorker, executions: list[str], **how: bool) -> None:
        slowed.append(len(executions))
        if len(slowed) == 1:
            queue.enqueue(rq_jobs.note, "younger")
            raw.set("moved on", 1)
            threading.Event().wait(0.2)
        give_back(self, executions, **how)

    monkeypatch.setattr(ReuseWorker, "_give_back", slowly)
    backlog(queue, 20, function=rq_jobs.same)
    queue.enqueue(until_given_back, job_id="long")
    backlog(queue, 20, start=20)

    work(queue)

    assert slowed[0] == 20
    assert ran(raw) == [*(f"j{n}" for n in range(20, 40)), "younger"]


def until_given_back() -> None:
    job = get_current_job()
    assert job is not None
    client = job.connection
    eventually_sync(lambda: client.exists("moved on"))


def in_a_child(server: RedisServer, name: str) -> int:
    """Let a worker work all off in another process; return how that ended."""
    command = [sys.executable, "-m", "rq.cli", "worker", "--url", server.url, "--burst", "app"]
    command += ["--worker-class", "reuse_worker.rq_worker.ReuseWorker", "--name", name]
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(command, env=environ, stderr=subprocess.DEVNULL, check=False).returncode


def test_no_more_jobs_are_started_than_the_worker_may_run(queue: Queue, raw: redis.Redis) -> None:
    jobs = backlog(queue, 40)

    work(queue, max_jobs=7)

    assert ran(raw) == [job.id for job in jobs[:7]]
    assert queue.get_job_ids() == [job.id for job in jobs[7:]]
    assert set(states(queue, *queue.get_job_ids())) == {"queued"}


def test_a_warm_shutdown_gives_back_what_has_not_begun(queue: Queue, raw: redis.Redis) -> None:
    jobs = backlog(queue, 20)
    queue.enqueue(shut_down, job_id="stop")
    jobs += backlog(queue, 20, start=20)

    work(queue, burst=False)

    assert ran(raw) == [job.id for job in jobs[:20]]
    assert queue.get_job_ids() == [job.id for job in jobs[20:]]
    assert states(queue, "j0", "j19", "stop", "j20") == ["finished"] * 3 + ["queued"]
    assert not raw.exists("rq:wip:app", "rq:executions:j20")


def shut_down() -> None:
    worker.request_stop(15, None)


def test_a_job_is_stopped_that_waits_its_turn_in_the_worker(
    queue: Queue, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a machine that is busy it might have to give that job back before.
    monkeypatch.setattr(ReuseWorker, "_relieve", lambda _: None)
    backlog(queue, 20, function=rq_jobs.same)
    queue.enqueue(stop_another, "j21", job_id="stop")
    backlog(queue, 5, start=20, function=rq_jobs.same)

    work(queue)

    assert states(queue, "j20", "j21", "j22") == ["finished", "stopped", "finished"]


def stop_another(job_id: str) -> None:
    command = json.dumps({"command": "stop-job", "job_id": job_id}).encode()
    worker.handle_payload({"data": command})


def test_what_was_claimed_ahead_before_the_machine_slept_is_not_run_twice(
    queue: Queue, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept.clear()
    clock = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda which: clock(which) + sum(slept))
    monkeypatch.setattr(ReuseWorker, "_relieve", lambda _: None)
    backlog(queue, 20, function=rq_jobs.same)
    queue.enqueue(sleep_too_long, job_id="sleep")
    ahead = [job.id for job in backlog(queue, 20, start=20)]

    work(queue)

    assert sorted(ran(raw)) == sorted([*ahead, "sleep", "sleep"])
    assert states(queue, "sleep", *ahead) == ["finished"] * 21


def sleep_too_long() -> None:
    """Meanwhile somebody takes the sleeper's jobs from it."""
    job = get_current_job()
    assert job is not None
    rq_jobs.note("sleep")
    if not slept:
        slept.append(3600.0)
        assert job.connection.zcard("rq:wip:app") > 1
        job.connection.zadd("reuse:{app}:replicas", {"w1": 1})
        assert Books(job.connection, "w2", ["app"]).reclaim() == ["w1"]


def test_a_job_that_kills_its_workers_takes_no_others_with_it(
    queue: Queue, raw: redis.Redis, redis_server: RedisServer
) -> None:
    jobs = backlog(queue, 60, function=rq_jobs.same)
    queue.enqueue(rq_jobs.die, job_id="poison")
    jobs += backlog(queue, 60, start=60, function=rq_jobs.same)

    for n in range(20):
        ended_by = in_a_child(redis_server, f"w{n}")
        raw.zadd("reuse:{app}:replicas", {f"w{n}": 1}, xx=True)  # its lease is over
        if ended_by == 0 and not queue.count:
            break

    assert [job.id for job in jobs if not job.is_finished] == []
    assert states(queue, "poison") == ["failed"]
    losses = [int(raw.hget(job.key, "reuse_losses") or 0) for job in jobs]
    assert max(losses) <= 1


def test_jobs_with_more_to_do_at_their_end_are_recorded_at_once(
    queue: Queue, raw: redis.Redis
) -> None:
    backlog(queue, 20)
    queue.enqueue(rq_jobs.broken, "fails", job_id="fails", retry=Retry(max=1))
    queue.enqueue(look_at, "j19", "fails", job_id="looks")
    backlog(queue, 20, start=20)

    work(queue)

    assert Job.fetch("looks", connection=raw).return_value() == ["finished", "queued"]
    assert ran(raw)[-1] == "fails"


def look_at(*names: str) -> list[str]:
    job = get_current_job()
    assert job is not None
    return [Job.fetch(each, connection=job.connection).get_status().value for each in names]


# -- webhooks -------------------------------------------------------------------------------


class Listener(BaseHTTPRequestHandler):
    """Notes what it is sent, and what Redis says of the job at that moment."""

    heard: list[tuple[str, dict[str, object], str]]
    client: redis.Redis

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = Job.fetch(sent["job_id"], connection=self.client).get_status().value
        shown = {name: sent[name] for name in ("job_id", "func_name", "status")}
        shown["last line"] = (sent.get("exc_info") or "").strip().splitlines()[-1:]
        self.heard.append((self.path, shown, status))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listener(raw: redis.Redis) -> Iterator[HTTPServer]:
    Listener.heard, Listener.client = [], raw
    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_webhooks_are_sent_as_rqs_worker_sends_them(
    queue: Queue, raw: redis.Redis, listener: HTTPServer
) -> None:
    def heard(kind: type[Any]) -> list[object]:
        raw.flushall()
        Listener.heard = []
        port = listener.server_address[1]
        hooks = [
            Webhook(f"http://127.0.0.1:{port}/{each}", each, method="POST")
            for each in ("finished", "failed")
        ]
        backlog(queue, 10)
        for name, function in (("ok", rq_jobs.note), ("bad", rq_jobs.broken)):
            queue.enqueue(function, name, job_id=name, webhooks=hooks)
        queue.enqueue(rq_jobs.again, 1, job_id="again", webhooks=hooks)
        backlog(queue, 10, start=10)
        kind([queue], name="w1", connection=raw).work(burst=True, **QUIET)
        return list(Listener.heard)

    theirs = heard(SimpleWorker)
    assert len(theirs) == 3
    assert heard(ReuseWorker) == theirs
