"""rq's own commands and rq-dashboard on a fleet at work: what they show, and what they steer."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from rq import Queue

from reuse_queue import JobHandle
from reuse_queue.job import JobStatus
from reuse_queue.settings import Settings
from support.dashboard import Dashboard
from support.documents import ROOT, blocks
from support.fleet_processes import ENV, FleetProcesses
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(60)

TASKS = (
    COROUTINES
    + """
@env.task
async def flaky() -> int:
    begin()
    if not (FOLDER / "fixed").exists():
        raise ValueError("not fixed yet")
    return 7
"""
)
REGISTRIES = ("queued", "started", "finished", "failed", "canceled", "scheduled", "deferred")


@pytest.fixture
def fleet(settings: Settings, tmp_path: Path) -> Iterator[FleetProcesses]:
    made = FleetProcesses(settings, tmp_path)
    yield made
    made.close()


@pytest.fixture
def app(fleet: FleetProcesses) -> Any:
    """The application of two ready replicas that run one job each."""
    module = fleet.write(replicas=2, concurrency=1, tasks=TASKS)
    fleet.serve()
    fleet.ready(2)
    return module


@pytest.fixture
def board(fleet: FleetProcesses) -> Iterator[Dashboard]:
    """rq-dashboard as the documents say to start it."""
    (program,) = blocks((ROOT / "docs/operations.md").read_text(encoding="utf-8"), "python")
    (fleet.folder / "dashboard.py").write_text(program)
    made = Dashboard([sys.executable, "dashboard.py"], fleet.settings.redis_url, fleet.folder)
    yield made
    made.close()


@pytest.fixture
def rq(fleet: FleetProcesses) -> Callable[..., str]:
    """Run rq's command and return what it printed."""

    def run(command: str, *words: str) -> str:
        program = str(Path(sys.executable).with_name("rq"))
        done = subprocess.run(
            [program, command, "--url", fleet.settings.redis_url, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    return run


@dataclass(frozen=True)
class Scene:
    """Jobs in every state."""

    added: list[JobHandle[int]]
    failed: list[JobHandle[int]]
    running: list[JobHandle[int]]
    waiting: JobHandle[int]
    canceled: JobHandle[int]
    later: JobHandle[int]
    child: str
    """It depends on one that runs; a stock client enqueued it."""


@pytest.fixture
def scene(fleet: FleetProcesses, app: Any) -> Scene:
    """Both replicas are busy, and have run something before."""
    added, failed = app.add.enqueue_many([(0, 1), (1, 1), (2, 1)]), app.flaky.enqueue_many([(), ()])
    for job in (*added, *failed):
        fleet.until(lambda job=job: job.status().ended, "the end of the first jobs")  # type: ignore[misc]
    running = app.wait.enqueue_many([(), ()])
    fleet.running(*running)
    waiting, canceled = app.wait.enqueue(), app.add.enqueue(1, 1)
    canceled.cancel()
    later = app.add.override(delay=timedelta(hours=1)).enqueue(1, 2)
    queue = Queue(ENV, connection=fleet.raw, serializer="json")
    child = queue.enqueue("whole_app.add", 3, 4, depends_on=running[0].id).id
    return Scene(added, failed, running, waiting, canceled, later, child)


def test_rq_info_shows_queues_and_replicas_at_work_and_at_rest(
    fleet: FleetProcesses, scene: Scene, rq: Callable[..., str]
):
    names = {each.name: each.pid for each in fleet.snapshot().replicas}
    queue, total = f"{ENV} 1, 2 executing, 3 finished, 2 failed", "1 queues, 1 jobs total"

    both = rq("info", "--raw")
    assert f"queue {queue}\n" in both
    lines = re.findall(
        r"^worker (\S+) \(a \S+ (\d+)\) busy whole\. jobs: (\d) finished, (\d) failed$",
        both,
        re.MULTILINE,
    )
    assert {name: int(pid) for name, pid, _, _ in lines} == names
    assert sum(int(done) for *_, done, _ in lines) == 3
    assert sum(int(bad) for *_, bad in lines) == 2
    for words in ((), (ENV,), ("--only-queues",)):
        shown = rq("info", *words)
        assert re.search(rf"^{queue.replace(' ', ' .*', 1)}$", shown, re.MULTILINE), shown
        assert total in shown
    assert "2 workers, 1 queues" in rq("info", "--only-workers")
    by_queue = rq("info", "--by-queue")
    assert f"{ENV}: " + ", ".join(f"{name} (busy)" for name in sorted(names)) in by_queue
    # It runs rq's cleanup of registries: no running job may suffer from that.
    assert {job.status() for job in scene.running} == {JobStatus.STARTED}

    fleet.open()
    fleet.finished([*scene.running, scene.waiting])
    done = f"queue {ENV} 0, 0 executing, 7 finished, 2 failed"
    fleet.until(lambda: done in rq("info", "--raw"), "the end of all jobs")
    at_rest = rq("info", "--only-workers", "--raw")
    assert len(re.findall(r" idle whole\.", at_rest)) == 2, at_rest

    fleet.command("env", "drain", ENV)
    fleet.gone()
    assert "0 workers, 1 queues" in rq("info", "--only-workers")


def test_the_dashboard_shows_how_many_jobs_there_are_and_which(scene: Scene, board: Dashboard):
    (queue,) = board.data("queues")["queues"]
    counts = {each: queue[f"{each}_job_registry_count"] for each in REGISTRIES[1:]}
    assert (queue["name"], queue["count"]) == (ENV, 1)
    assert counts == {
        "started": 2,
        "finished": 3,
        "failed": 2,
        "canceled": 1,
        "scheduled": 1,
        "deferred": 1,
    }
    expected = {
        "queued": [scene.waiting.id],
        "started": [job.id for job in scene.running],
        "finished": [job.id for job in scene.added],
        "failed": [job.id for job in scene.failed],
        "canceled": [scene.canceled.id],
        "scheduled": [scene.later.id],
        "deferred": [scene.child],
    }
    assert {each: set(board.jobs(ENV, each)) for each in REGISTRIES} == {
        each: set(ids) for each, ids in expected.items()
    }
    for job in board.jobs(ENV, "failed").values():
        assert job["description"] == "whole_app.flaky"
        assert job["exc_info"].rstrip().endswith("ValueError: not fixed yet")
        assert job["started_at"] <= job["ended_at"]

    pages = [f"/0/view/jobs/{ENV}/{each}/8/dsc/1" for each in REGISTRIES]
    pages += [f"/0/view/job/{ids[0]}" for ids in expected.values()]
    for page in ("/", "/0/view/workers", "/0/view/jobs", *pages):
        assert board.get(page).status == 200, page


def test_the_dashboard_shows_what_became_of_a_job(scene: Scene, board: Dashboard):
    done, failed = board.data(f"job/{scene.added[2].id}"), board.data(f"job/{scene.failed[0].id}")
    assert (done["status"], done["result"], done["exc_info"]) == ("finished", 3, None)
    assert done["created_at"] <= done["enqueued_at"] <= done["started_at"] <= done["ended_at"]
    assert (failed["status"], failed["result"]) == ("failed", None)
    assert "ValueError: not fixed yet" in failed["exc_info"]
    assert board.data(f"job/{scene.running[0].id}")["ended_at"] is None


def test_the_dashboard_shows_replicas_and_what_they_run(
    fleet: FleetProcesses, scene: Scene, board: Dashboard
):
    workers = board.data("workers")["workers"]
    assert {each["name"]: each["pid"] for each in workers} == {
        each.name: each.pid for each in fleet.snapshot().replicas
    }
    assert {each["current_job"]["job_id"] for each in workers} == {job.id for job in scene.running}
    assert {each["current_job"]["call_string"] for each in workers} == {"whole_app.wait()"}
    assert sum(each["successful_job_count"] for each in workers) == 3
    assert sum(each["failed_job_count"] for each in workers) == 2
    for each in workers:
        assert (each["state"], each["queues"]) == ("busy", [ENV])
        assert 0 < each["total_working_time"] < 60
        born, beaten = (
            parsedate_to_datetime(each[moment]).timestamp()
            for moment in ("birth_date", "last_heartbeat")
        )
        assert time.time() - 60 < born <= beaten < time.time() + 2

    fleet.open()
    fleet.finished([*scene.running, scene.waiting])
    fleet.until(lambda: len(board.jobs(ENV, "finished")) == 7, "the child's end")
    workers = board.data("workers")["workers"]
    assert {(each["state"], each["current_job"]) for each in workers} == {("idle", "idle")}


def test_the_dashboards_buttons_requeue_delete_and_empty(
    fleet: FleetProcesses, scene: Scene, app: Any, board: Dashboard
):
    one, other = scene.failed
    (fleet.folder / "fixed").touch()
    # A running job that is deleted runs on and leaves nothing; its replica is free afterwards.
    gone = scene.running[0]
    assert board.post(f"/job/{gone.id}/delete").json() == {"status": "OK"}
    assert board.post(f"/job/{scene.added[0].id}/delete").json() == {"status": "OK"}
    assert board.post(f"/queue/{ENV}/compact").json() == {"status": "OK"}
    assert list(board.jobs(ENV, "queued")) == [scene.waiting.id]
    assert board.post(f"/queue/{ENV}/queued/empty").json() == {"status": "OK"}
    assert board.post(f"/queue/{ENV}/scheduled/empty").json() == {"status": "OK"}
    assert board.jobs(ENV, "queued") == board.jobs(ENV, "scheduled") == {}
    assert board.post(f"/job/{one.id}/requeue").json() == {"status": "OK"}
    assert list(board.jobs(ENV, "queued")) == [one.id]

    fleet.open()
    fleet.until(lambda: one.status() is JobStatus.FINISHED, "the end of the requeued job")
    assert one.result(timeout=0) == 7
    assert board.post(f"/requeue/{ENV}").json() == {"status": "OK", "count": 1}
    fleet.until(lambda: other.status() is JobStatus.FINISHED, "the end of the other")
    fleet.finished([scene.running[1], app.wait.enqueue()])

    def rests() -> bool:
        return all(each["state"] == "idle" for each in board.data("workers")["workers"])

    fleet.until(rests, "both replicas at rest")
    for job in (gone, scene.added[0], scene.waiting, scene.later):
        assert fleet.raw.keys(f"*{job.id}*") == [], job
    assert fleet.raw.zcard(f"rq:wip:{ENV}") == 0


def test_rqs_commands_suspend_resume_enqueue_requeue_and_empty(
    fleet: FleetProcesses, app: Any, rq: Callable[..., str]
):
    failed = app.flaky.enqueue()
    fleet.until(lambda: failed.status() is JobStatus.FAILED, "the failure")

    rq("suspend")
    jobs = app.add.enqueue_many([(n, n) for n in range(20)])
    # Both replicas have seen a job, and left it.
    fleet.until(lambda: fleet.shown()["suspended"], "the suspension")
    (fleet.folder / "fixed").touch()
    assert "Requeueing 1 jobs" in rq("requeue", "--queue", ENV, "--all")
    assert len(fleet.snapshot().replicas) == 2
    assert {job.status() for job in (*jobs, failed)} == {JobStatus.QUEUED}
    assert "an operator" not in fleet.command("explain", ENV)
    assert "rq resume" in fleet.command("explain", ENV)

    rq("resume")
    fleet.finished(jobs)
    fleet.until(lambda: failed.status() is JobStatus.FINISHED, "the end of the requeued job")

    said = rq(
        "enqueue",
        "--queue",
        ENV,
        "--serializer",
        "json",
        "--job-id",
        "typed",
        "whole_app.add",
        ":1",
        ":2",
    )
    assert "typed" in said
    assert app.add.handle("typed").result(timeout=20) == 3

    rq("suspend", "--duration", "3600")
    app.add.enqueue_many([(1, 2)] * 3)
    assert f"3 jobs removed from {ENV} queue" in rq("empty", ENV)


def test_the_dashboards_own_faults_are_those_that_the_documents_name(
    fleet: FleetProcesses, scene: Scene, board: Dashboard
):
    assert board.get(f"/0/data/job/{scene.child}.json").status == 500
    assert board.get("/0/view/job/nobody").status == 500
    assert board.post("/queue/empty/compact").status == 500
    plain = Dashboard(
        [sys.executable, "-m", "rq_dashboard"], fleet.settings.redis_url, fleet.folder
    )
    try:
        assert plain.get("/0/data/workers.json").status == 500
        assert plain.get("/0/data/queues.json").status == 200
    finally:
        plain.close()
