"""A replica's process: signals, sudden death, exit codes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from rq.job import Job, JobStatus

from integration.worker.conftest import KEYS, Lab
from reuse_queue.board import Board
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.lease import Leases
from reuse_queue.facts import Death
from reuse_worker.exit_code import ExitCode
from support.eventually import eventually_sync

ROOT = Path(__file__).parents[3]
MODULE = "integration.worker.process"
DEATH = Death(
    replica="r1",
    host="testhost",
    version="1",
    at=datetime.now(UTC),
    cause="killed by SIGKILL",
    was_ready=True,
    age=timedelta(seconds=1),
)


class Process:
    """A replica's process as its agent sees it."""

    def __init__(self, popen: "subprocess.Popen[str]", board: Board) -> None:
        self.popen = popen
        self.board = board

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def code(self) -> int:
        return self.popen.wait(20)


@contextmanager
def process(lab: Lab, **environ: str) -> Iterator[Process]:
    lab.order("r1")
    board = Board.create(1)
    popen = subprocess.Popen(
        [sys.executable, "-m", MODULE, lab.settings.redis_url, "r1", str(board.fd)],
        pass_fds=[board.fd],
        env={
            **os.environ,
            "PYTHONPATH": ":".join(str(ROOT / each) for each in ("tests", "workers", ".")),
            "REUSE_QUEUE_REDIS_URL": lab.settings.redis_url,
            **environ,
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Process(popen, board)
    finally:
        popen.kill()
        popen.communicate()
        board.close()


def seen(raw: redis.Redis) -> list[str]:
    said: list[Any] = raw.lrange("seen", 0, -1)
    return [each.decode() for each in said]


def enqueue(lab: Lab, name: str, *args: object) -> Job:
    return lab.enqueue(f"{MODULE}.{name}", *args)


def test_sigterm_lets_running_jobs_finish(lab: Lab, raw: redis.Redis):
    first, second = enqueue(lab, "passes_the_gate"), enqueue(lab, "passes_the_gate")
    with process(lab) as replica:
        eventually_sync(lambda: seen(raw) == ["runs"])
        replica.signal(signal.SIGTERM)
        eventually_sync(lambda: lab.record()["state"] == "draining")
        raw.set("gate", 1)
        assert replica.code() == ExitCode.ASKED
    assert first.return_value(refresh=True) == "passed"
    assert second.get_status() is JobStatus.QUEUED
    assert seen(raw) == ["runs", "stopped"]


@pytest.mark.parametrize("name", ["stays", "blocks"])
def test_a_second_signal_ends_the_grace(lab: Lab, raw: redis.Redis, name: str):
    job = enqueue(lab, name)
    with process(lab, REUSE_QUEUE_KILL_GRACE="0.2") as replica:
        eventually_sync(lambda: seen(raw) == ["runs"])
        replica.signal(signal.SIGINT)
        eventually_sync(lambda: lab.record()["state"] == "draining")
        replica.signal(signal.SIGTERM)
        assert replica.code() == ExitCode.ASKED
    assert job.get_status() is JobStatus.QUEUED
    assert lab.queued() == [job.id]
    assert seen(raw) == (["runs"] if name == "blocks" else ["runs", "cleaned up", "stopped"])


def test_the_grace_ends_by_itself(lab: Lab, raw: redis.Redis):
    job = enqueue(lab, "stays")
    with process(lab, REUSE_QUEUE_DRAIN_GRACE="0.2") as replica:
        eventually_sync(lambda: seen(raw) == ["runs"])
        replica.signal(signal.SIGTERM)
        assert replica.code() == ExitCode.ASKED
    assert job.get_status() is JobStatus.QUEUED


@pytest.mark.parametrize("name", ["stays", "blocks"])
def test_after_a_sudden_death_the_board_still_shows_what_ran(
    lab: Lab, raw: redis.Redis, connection: Connection, name: str
):
    job, waiting = enqueue(lab, name), enqueue(lab, name)
    with process(lab) as replica:
        eventually_sync(lambda: seen(raw) == ["runs"])
        replica.signal(signal.SIGKILL)
        assert replica.code() == -signal.SIGKILL
        [slot] = replica.board.read()
    leases = Leases(KEYS, "lab", lab.settings)
    assert connection.run(leases.end_replica(DEATH, {slot.execution: None})) == 1
    assert lab.queued() == [job.id, waiting.id]
    assert raw.hget(job.key, "reuse_losses") == b"1"
    assert raw.hget(waiting.key, "reuse_losses") is None


@pytest.mark.parametrize("name", ["dies_before_others", "dies_before_others_here"])
def test_what_may_run_only_once_goes_back_if_it_had_not_begun_before_a_sudden_death(
    lab: Lab, raw: redis.Redis, connection: Connection, name: str
):
    jobs = [enqueue(lab, name, number) for number in range(500)]
    for job in jobs:
        raw.hset(job.key, "reuse_once", 1)
    with process(lab) as replica:
        assert replica.code() == -signal.SIGKILL
        [slot] = replica.board.read()
        unbegun = replica.board.unbegun()
    held = lab.held()
    leases = Leases(KEYS, "lab", lab.settings)
    step = leases.end_replica(DEATH, {slot.execution: None}, unbegun=unbegun)
    assert connection.run(step) == held

    ran = len(seen(raw))
    assert len(lab.queued()) == len(jobs) - ran
    assert lab.queued() == [job.id for job in jobs[ran:]]
    assert jobs[ran - 1].get_status() is JobStatus.FAILED
    assert all(job.get_status() is not JobStatus.QUEUED for job in jobs[:ran])


def test_a_failing_on_start_is_reported_and_has_its_exit_code(lab: Lab):
    with process(lab, FAIL="1") as replica:
        assert replica.code() == ExitCode.START_FAILED
        assert replica.popen.stderr is not None
        assert "ValueError: no model here" in replica.popen.stderr.read()


def test_a_replica_off_the_books_exits_as_fenced(lab: Lab, raw: redis.Redis):
    with process(lab, REUSE_QUEUE_HEARTBEAT="0.1") as replica:
        eventually_sync(lambda: lab.record().get("state") == "ready")
        raw.zrem(KEYS.replicas("lab"), "r1")
        raw.delete(KEYS.replica("lab", "r1"))
        assert replica.code() == ExitCode.FENCED


def test_a_background_task_that_exits_ends_alone(lab: Lab):
    with process(lab) as replica:
        job = enqueue(lab, "leaves_a_task_behind")
        eventually_sync(lambda: job.get_status() is JobStatus.FINISHED)
        replica.signal(signal.SIGTERM)
        assert replica.code() == ExitCode.ASKED
    assert job.return_value(refresh=True) == "still here"


def test_a_background_task_that_never_ends_does_not_hold_the_process(lab: Lab):
    with process(lab, REUSE_QUEUE_KILL_GRACE="0.2") as replica:
        job = enqueue(lab, "spawns_what_never_ends")
        eventually_sync(lambda: job.get_status() is JobStatus.FINISHED)
        replica.signal(signal.SIGTERM)
        assert replica.code() == ExitCode.ASKED
