"""What the drop-in does where rq's worker loses, doubles or forgets jobs."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
import redis
from rq import Callback, Queue, Retry, get_current_job
from rq.command import send_command
from rq.executions import Execution
from rq.job import Job

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.lease import Leases
from reuse_queue.broker.queue import JobQueue
from reuse_queue.broker.scaling import Scaling
from reuse_queue.facts import Death
from reuse_queue.job import Outcome, Verdict
from reuse_queue.settings import Settings
from reuse_worker.rq_worker import ReuseWorker
from reuse_worker.rq_worker.watch import Watch
from support import rq_jobs
from support.eventually import eventually_sync
from support.server import RedisServer

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
TESTS = Path(__file__).parents[1]
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(redis_server: RedisServer) -> Iterator[Start]:
    """Start `rq worker` with our class, a short lease, and more arguments."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*words: str, **environ: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "rq.cli", "worker", "--url", redis_server.url]
        command += ["--worker-class", "reuse_worker.rq_worker.ReuseWorker", *words]
        env = os.environ | {"PYTHONPATH": str(TESTS), **environ}
        started.append(subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL))
        return started[-1]

    yield begin
    for each in started:
        each.kill()
        each.wait()


SHORT = {"REUSE_QUEUE_LEASE": "1.5", "REUSE_QUEUE_HEARTBEAT": "0.5"}


def ran(raw: redis.Redis) -> list[bytes]:
    return raw.lrange(rq_jobs.RUNS, 0, -1)  # type: ignore[return-value]  # not awaited


def test_a_job_of_a_killed_worker_runs_on_another_once_the_lease_is_over(
    raw: redis.Redis, start: Start
) -> None:
    job = Queue("low", connection=raw).enqueue(rq_jobs.slow, 2, job_id="a")
    killed = start("high", "low", "--name", "w1", **SHORT)
    eventually_sync(lambda: ran(raw))

    killed.kill()
    start("high", "low", "--name", "w2", **SHORT)

    eventually_sync(lambda: job.get_status() == "finished", within=30)
    assert ran(raw) == [b"slow began", b"slow began"]
    assert job.latest_result().worker_name == "w2"
    assert raw.hget("rq:job:a", "reuse_losses") == b"1"
    assert not raw.exists("rq:worker:w1")


def test_a_job_longer_than_the_lease_is_nobody_elses(raw: redis.Redis, start: Start) -> None:
    job = Queue("app", connection=raw).enqueue(rq_jobs.slow, 4, job_id="a")
    for name in ("w1", "w2"):
        start("app", "--name", name, **SHORT)

    eventually_sync(lambda: job.get_status() == "finished", within=30)

    assert ran(raw) == [b"slow began"]


def test_a_cold_shutdown_gives_the_job_back(raw: redis.Redis, start: Start) -> None:
    queue = Queue("app", connection=raw)
    queue.enqueue(rq_jobs.slow, job_id="a")
    worker = start("app", "--name", "w1")
    eventually_sync(lambda: ran(raw))

    worker.send_signal(signal.SIGTERM)
    eventually_sync(lambda: raw.hexists("rq:worker:w1", "shutdown_requested_date"))
    # rq takes a second signal within one second for the same one.

    def ended() -> bool:
        worker.send_signal(signal.SIGTERM)
        return worker.poll() is not None

    eventually_sync(ended)

    assert queue.get_job_ids() == ["a"]
    assert raw.hget("rq:job:a", "status") == b"queued"
    assert raw.zcard("rq:wip:app") == 0
    assert not raw.hexists("rq:job:a", "reuse_losses")


def test_a_stopped_job_is_ended_though_it_lets_no_exception_end_it(
    raw: redis.Redis, start: Start
) -> None:
    job = Queue("app", connection=raw).enqueue(rq_jobs.stubborn, job_id="a")
    start("app", "--name", "w1")
    eventually_sync(lambda: ran(raw))

    def stopped() -> bool:
        send_command(raw, "w1", "stop-job", job_id="a")
        return bool(job.is_stopped)

    eventually_sync(stopped)
    assert ran(raw) == [b"slow began", b"stubborn gave way"]


def test_a_cancel_of_ours_cancels_a_running_job(
    raw: redis.Redis, start: Start, connection: Connection
) -> None:
    Queue("app", connection=raw).enqueue(rq_jobs.slow, job_id="a")
    start("app", "--name", "w1", **SHORT)
    eventually_sync(lambda: ran(raw))

    connection.run(JobQueue(connection.keys).cancel(["a"]))

    eventually_sync(lambda: raw.hget("rq:job:a", "status") == b"canceled")


def test_a_result_of_a_lost_lease_is_not_recorded(
    raw: redis.Redis, redis_server: RedisServer, connection: Connection
) -> None:
    """Its job has gone to another replica meanwhile, and ended there."""
    queue = Queue("app", connection=raw)
    queue.enqueue(take_over, redis_server.url, job_id="a")

    ReuseWorker([queue], name="w1", connection=raw).work(burst=True, logging_level="CRITICAL")

    job = Job.fetch("a", connection=raw)
    assert [each.worker_name for each in job.results()] == ["w2"]
    assert job.get_status() == "finished"


def take_over(url: str) -> None:
    settings = Settings(redis_url=url)
    other = Connection(settings)
    leases, fleet = Leases(other.keys, "app", settings), Fleet(other.keys, settings)
    with redis.Redis.from_url(url) as client:
        client.zadd("reuse:{app}:replicas", {"w1": 1})
    assert other.run(leases.reclaim()) == ["w1"]
    other.run(fleet.enlist("app", "w2", "h2", 1))
    (job,) = other.run(leases.claim("w2", 1, "e2")).jobs
    ended = Outcome(job_id=job.id, execution="e2", verdict=Verdict.FINISHED, took=timedelta(0))
    other.run(leases.finish("w2", [ended]))
    other.close()


@pytest.mark.parametrize("stepwise", [False, True])
@pytest.mark.parametrize(
    ("verdict", "status", "called"),
    [(Verdict.FAILED, "failed", b"failed JobTimeout"), (Verdict.STOPPED, "stopped", b"stopped")],
)
def test_a_job_that_a_replica_was_killed_for_ends_after_its_callback(
    raw: redis.Redis,
    connection: Connection,
    verdict: Verdict,
    status: str,
    called: bytes,
    stepwise: bool,
) -> None:
    queue = Queue("app", connection=raw)
    ends = {"on_failure": Callback(tell_failure), "on_stopped": Callback(tell_stop)}
    queue.enqueue(rq_jobs.note, "ran", job_id="a", retry=Retry(max=1), **ends)
    settings = connection.settings
    leases, fleet = Leases(connection.keys, "app", settings), Fleet(connection.keys, settings)
    connection.run(fleet.enlist("app", "w1", "h", 1))
    (job,) = connection.run(leases.claim("w1", 1, "e1")).jobs
    death = Death(
        replica="w1",
        host="h",
        version="1",
        at=datetime.now(UTC),
        cause="killed",
        was_ready=True,
        age=timedelta(0),
        detail="",
    )
    connection.run(leases.end_replica(death, {job.execution: verdict}))
    assert queue.get_job_ids() == ["a"]

    worker = (OwnSteps if stepwise else ReuseWorker)([queue], name="w2", connection=raw)
    worker.work(burst=True, logging_level="CRITICAL")
    assert worker._stepwise is stepwise

    ended = Job.fetch("a", connection=raw)
    if verdict is Verdict.STOPPED:
        assert (ran(raw), ended.get_status()) == ([called], status)
        assert not ended.results()[0].return_value
    else:
        # Its callback, then its second try.
        assert (ran(raw), ended.get_status()) == ([called, b"ran"], "finished")
    assert raw.zcard("rq:wip:app") == 0


class OwnSteps(ReuseWorker):
    """Starts jobs by a step of the application's."""

    def prepare_execution(self, job: Job) -> Execution:
        return super().prepare_execution(job)


def tell_failure(job: Job, connection: redis.Redis, kind: type, *_: object) -> None:
    connection.rpush(rq_jobs.RUNS, f"{job.get_status(refresh=False).value} {kind.__name__}")


def tell_stop(job: Job, connection: redis.Redis) -> None:
    connection.rpush(rq_jobs.RUNS, "stopped")


def test_the_scaler_neither_counts_nor_sees_a_guest(
    raw: redis.Redis, connection: Connection
) -> None:
    settings = connection.settings
    leases, fleet = Leases(connection.keys, "app", settings), Fleet(connection.keys, settings)
    Queue("app", connection=raw).enqueue(rq_jobs.note, "a")
    connection.run(fleet.enlist("app", "guest", "h", 1))
    connection.run(leases.claim("guest", 1, "e1"))

    seen = connection.run(Scaling(connection.keys, settings).glance("app", [], poke=False))

    assert seen is not None
    assert (seen.replicas, seen.claimed, seen.backlog) == ((), 0, 0)


def test_several_queues_are_served_by_their_order(raw: redis.Redis, start: Start) -> None:
    start("high", "low", "--name", "w1")
    eventually_sync(lambda: raw.hget("rq:worker:w1", "state") == b"idle")

    Queue("low", connection=raw).enqueue(rq_jobs.note, "low")
    eventually_sync(lambda: ran(raw) == [b"low"])
    Queue("high", connection=raw).enqueue(rq_jobs.note, "high")

    eventually_sync(lambda: ran(raw) == [b"low", b"high"])
    assert not raw.exists("reuse:{low}:waiting:w1", "reuse:{high}:waiting:w1")


def test_a_wait_for_several_queues_is_ended_by_a_push_to_any_and_takes_nothing(
    raw: redis.Redis,
) -> None:
    watch, queues = Watch(raw), ["rq:queue:high", "rq:queue:low"]
    for name in (*queues, *queues):
        waiting = threading.Thread(target=watch.wait, args=(queues, 30))
        waiting.start()
        eventually_sync(lambda: tracks_two_keys(raw))
        assert waiting.is_alive()
        raw.rpush(name, "id")
        waiting.join(20)
        assert not waiting.is_alive(), name
        assert raw.lpop(name) == b"id"
    watch.close()


def tracks_two_keys(raw: redis.Redis) -> bool:
    return bool(raw.info("stats")["tracking_total_keys"] == 2)


def test_where_redis_may_not_tell_of_queues_they_are_asked(
    raw: redis.Redis, redis_server: RedisServer
) -> None:
    raw.acl_setuser(
        "plain",
        enabled=True,
        nopass=True,
        keys="*",
        channels="*",
        commands=["+@all", "-client|tracking"],
    )
    try:
        with redis.Redis.from_url(redis_server.url, username="plain", password="x") as client:
            worker = ReuseWorker(["high", "low"], name="w1", connection=client)
            late = threading.Timer(0.3, Queue("low", connection=raw).enqueue, (rq_jobs.note, "a"))
            late.start()
            worker.work(max_jobs=1, logging_level="CRITICAL")
            late.join()
    finally:
        raw.acl_deluser("plain")
    assert ran(raw) == [b"a"]


class Wrapping(ReuseWorker):
    """As applications do it: a context around each job."""

    seen: ClassVar[list[object]] = []

    def perform_job(self, job: Job, queue: Queue, execution: object) -> bool:
        self.seen.append((job.get_status(), queue.intermediate_queue.get_job_ids()))
        return bool(super().perform_job(job, queue, execution))


def test_a_worker_with_a_step_of_its_own_before_a_job_sees_what_rqs_sees(raw: redis.Redis) -> None:
    """The job is in rq's intermediate list then, also with several queues, and leased after."""
    Queue("low", connection=raw).enqueue(look_at_the_lease, job_id="a")
    Queue("low", connection=raw).enqueue(rq_jobs.note, "b", job_id="b").delete(
        remove_from_queue=False
    )
    Wrapping.seen.clear()

    Wrapping(["high", "low"], name="w1", connection=raw).work(burst=True, logging_level="CRITICAL")

    job = Job.fetch("a", connection=raw)
    assert Wrapping.seen == [("queued", ["a"])]
    assert job.return_value() == ["started", 1, 0]
    assert len(job.results()) == 1
    assert not raw.exists("rq:queue:low", "rq:queue:low:intermediate", "reuse:{low}:waiting:w1")
    assert raw.zcard("rq:wip:low") == 0


def look_at_the_lease() -> list[object]:
    job = get_current_job()
    assert job is not None
    lists = job.connection.llen("rq:queue:low:intermediate")
    return [job.get_status().value, job.connection.zcard("rq:wip:low"), lists]


def test_a_job_that_is_deleted_while_it_runs_stays_deleted(raw: redis.Redis) -> None:
    """rq's worker writes it anew, as finished."""
    queue = Queue("app", connection=raw)
    queue.enqueue(rq_jobs.delete_itself, "a", job_id="a")

    ReuseWorker([queue], name="w1", connection=raw).work(burst=True, logging_level="CRITICAL")

    assert ran(raw) == [b"a"]
    assert not raw.exists("rq:job:a", "rq:results:a", "rq:finished:app", "rq:wip:app")
