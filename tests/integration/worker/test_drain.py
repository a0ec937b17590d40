"""How a replica starts, drains and ends."""

import asyncio
import contextvars
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from rq.job import JobStatus

from integration.worker.conftest import KEYS, Lab
from reuse_queue.facts import ReplicaState
from reuse_worker.exit_code import ExitCode
from support.eventually import eventually

seen: list[object] = []
model: contextvars.ContextVar[str] = contextvars.ContextVar("model", default="none")
gate = threading.Event()


@pytest.fixture(autouse=True)
def clean():
    seen.clear()
    gate.clear()


async def passes_the_gate(number: int) -> int:
    seen.append(number)
    await eventually(gate.is_set)
    return number


def passes_the_gate_here(number: int) -> int:
    seen.append(number)
    gate.wait(20)
    return number


async def stays() -> None:
    seen.append("stays")
    try:
        await asyncio.Event().wait()
    finally:
        seen.append("cleaned up")


async def ignores_its_cancel() -> None:
    seen.append("stays")
    while not gate.is_set():
        try:
            await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            seen.append("ignored")


async def asks_for_the_model() -> str:
    return model.get()


def spoils_the_model() -> str:
    found = model.get()
    model.set("spoilt")
    return found


async def test_a_drained_replica_finishes_what_runs_and_leaves(lab: Lab):
    lab.serve(passes_the_gate, concurrency=1)
    async with lab.replica() as running:
        first = lab.enqueue(passes_the_gate, 1)
        await eventually(lambda: seen == [1])
        lab.tell(ReplicaState.DRAINING, drain_reason="scale-down")
        await eventually(lambda: running.daemon.life.draining)
        second = lab.enqueue(passes_the_gate, 2)
        gate.set()
        assert await running.code() == ExitCode.ASKED
    assert first.return_value(refresh=True) == 1
    assert second.get_status() is JobStatus.QUEUED
    assert lab.record()["state"] == "stopping"


async def test_what_a_drained_replica_is_given_too_late_runs_elsewhere_at_once(lab: Lab):
    lab.serve(stays, passes_the_gate, concurrency=1)
    async with lab.replica() as running:
        lab.enqueue(stays)
        await eventually(lambda: seen == ["stays"])
        lab.tell(ReplicaState.DRAINING, drain_reason="scale-down")
        await eventually(lambda: running.daemon.life.draining)
        gate.set()
        second = lab.enqueue(passes_the_gate, 2)
        # To a wait that the drain has cut short, of which Redis does not know yet.
        lab.raw.lmove(KEYS.queue("lab"), KEYS.waiting("lab", "r1"), "LEFT", "RIGHT")
        async with lab.replica("r2"):
            await eventually(lambda: second.get_status() is JobStatus.FINISHED)


async def test_a_drain_that_is_called_off_goes_on_claiming(lab: Lab):
    lab.serve(passes_the_gate, concurrency=1)
    async with lab.replica() as running:
        lab.enqueue(passes_the_gate, 1)
        await eventually(lambda: seen == [1])
        lab.tell(ReplicaState.DRAINING, drain_reason="scale-down")
        await eventually(lambda: running.daemon.life.draining)
        lab.tell(ReplicaState.READY, drain_reason="")
        await eventually(lambda: not running.daemon.life.draining)
        gate.set()
        second = lab.enqueue(passes_the_gate, 2)
        await eventually(second.get_status, what="any status")
        await eventually(lambda: second.get_status() is JobStatus.FINISHED)
        assert not running.done


async def test_a_drain_called_off_at_the_last_moment_is_seen_when_departing(lab: Lab):
    lab.serve(passes_the_gate, concurrency=1)
    gate.set()
    async with lab.replica() as running:
        depart = running.daemon._steps.depart

        async def undrained_first() -> bool:
            lab.raw.hset(KEYS.replica("lab", "r1"), "state", "ready")
            running.daemon._steps.depart = depart  # type: ignore[method-assign]
            return await depart()

        running.daemon._steps.depart = undrained_first  # type: ignore[method-assign]
        lab.tell(ReplicaState.DRAINING, drain_reason="scale-down")
        await eventually(lambda: running.daemon._steps.depart is depart)
        job = lab.enqueue(passes_the_gate, 1)
        await eventually(lambda: job.get_status() is JobStatus.FINISHED)
        assert not running.done


@pytest.mark.parametrize("task", [passes_the_gate, passes_the_gate_here])
async def test_what_was_claimed_ahead_goes_back_in_its_order(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, task
):
    lab.serve(task, concurrency=1)
    async with lab.replica() as running:
        slots = running.daemon._slots
        slots.pace.ran(0.00001, 10)
        # The first one passes at once, so that the claims that follow reach ahead.
        gate.set()
        lab.enqueue(task, 0)
        await eventually(lambda: slots.ended == 1)
        gate.clear()
        # The stall that would give them back by itself is out of the way.
        monkeypatch.setattr("reuse_worker.claimer._STALL_S", 60)
        # At once: the claim that takes the first must see the others.
        with lab.raw.pipeline() as pipe:
            jobs = [lab.enqueue(task, number, pipeline=pipe) for number in range(1, 30)]
            pipe.execute()
        await eventually(lambda: slots.ahead > 2 and seen == [0, 1], what="claims ahead")
        lab.tell(ReplicaState.DRAINING, drain_reason="scale-down")
        await eventually(lambda: lab.held() == 1, what="what has not started is given back")
        assert lab.queued() == [job.id for job in jobs[1:]]
        gate.set()
        assert await running.code() == ExitCode.ASKED
    assert seen == [0, 1]
    assert [job.get_status() for job in jobs[1:]] == [JobStatus.QUEUED] * 28


async def test_jobs_claimed_ahead_of_a_long_one_go_back_by_themselves(lab: Lab):
    lab.serve(passes_the_gate, concurrency=1)
    jobs = [lab.enqueue(passes_the_gate, number) for number in range(20)]
    async with lab.replica(ready=False) as running:
        running.daemon._slots.pace.ran(0.00001, 10)
        running.daemon._claimer._seen = replace(running.daemon._claimer._seen, backlog=20)
        await eventually(lambda: seen == [0])
        await eventually(lambda: lab.held() == 1 and len(lab.queued()) == 19)
        assert lab.queued() == [job.id for job in jobs[1:]]
        gate.set()


async def test_a_stop_cancels_what_outlasts_the_grace_and_gives_it_back(lab: Lab):
    lab.settings = replace(lab.settings, drain_grace=timedelta(seconds=0.1))
    lab.serve(stays)
    async with lab.replica() as running:
        job = lab.enqueue(stays)
        await eventually(lambda: seen == ["stays"])
        running.daemon.stop()
        assert await running.code() == ExitCode.ASKED
        assert running.board.read() == []
    assert seen == ["stays", "cleaned up"]
    assert job.get_status() is JobStatus.QUEUED
    assert lab.queued() == [job.id]
    assert lab.record()["drain_reason"] == "host stops"


async def test_a_second_stop_ends_the_grace(lab: Lab):
    lab.serve(stays)
    async with lab.replica() as running:
        job = lab.enqueue(stays)
        await eventually(lambda: seen == ["stays"])
        running.daemon.stop()
        await eventually(lambda: lab.record()["state"] == "draining")
        running.daemon.stop()
        assert await running.code() == ExitCode.ASKED
    assert job.get_status() is JobStatus.QUEUED


@pytest.mark.parametrize("task", [ignores_its_cancel, passes_the_gate_here])
async def test_a_job_that_ignores_its_stop_is_given_back_and_on_stop_left_out(lab: Lab, task):
    lab.settings = replace(
        lab.settings, drain_grace=timedelta(0), kill_grace=timedelta(seconds=0.1)
    )
    lab.serve(task, concurrency=1)
    lab.env.on_stop(lambda: seen.append("stopped"))
    async with lab.replica() as running:
        job = lab.enqueue(task, *([1] if task is passes_the_gate_here else []))
        await eventually(lambda: seen)
        running.daemon.stop()
        assert await running.code() == ExitCode.ASKED
        assert running.board.read() == []
        assert lab.queued() == [job.id]
        gate.set()
        await eventually(lambda: running.daemon._slots.busy == 0)
    assert "stopped" not in seen
    assert job.get_status() is JobStatus.QUEUED


async def test_hooks_run_around_the_jobs_and_their_context_is_the_jobs(lab: Lab):
    lab.serve(asks_for_the_model)

    @lab.env.on_start
    async def load() -> None:
        model.set("loaded")

    @lab.env.on_start
    def note() -> None:
        seen.append(model.get())

    @lab.env.on_stop
    def close() -> None:
        seen.append("closed")

    async with lab.replica() as running:
        job = lab.enqueue(asks_for_the_model)
        await eventually(lambda: job.get_status() is JobStatus.FINISHED)
        assert seen == ["loaded"]
        running.daemon.stop()
        assert await running.code() == ExitCode.ASKED
    assert job.return_value(refresh=True) == "loaded"
    assert seen == ["loaded", "closed"]


async def test_what_a_sync_job_does_to_the_context_ends_with_it(lab: Lab):
    lab.serve(spoils_the_model, concurrency=1)
    lab.env.on_start(lambda: model.set("loaded"))
    async with lab.replica():
        jobs = [lab.enqueue(spoils_the_model) for _ in range(2)]
        await eventually(lambda: all(job.get_status() is JobStatus.FINISHED for job in jobs))
    assert [job.return_value(refresh=True) for job in jobs] == ["loaded", "loaded"]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_failing_on_start_is_reported_and_the_replica_never_ready(lab: Lab, kind: str):
    lab.serve(asks_for_the_model)

    def load() -> None:
        raise SystemExit("no model here")

    async def aload() -> None:
        load()

    lab.env.on_start(load if kind == "sync" else aload)
    lab.env.on_stop(lambda: seen.append("closed"))
    async with lab.replica(ready=False) as running:
        assert await running.code() == ExitCode.START_FAILED
    [report] = lab.reports
    assert report.strip().endswith("SystemExit: no model here")
    assert lab.record()["state"] == "starting"
    assert seen == []


async def test_a_replica_drained_while_it_starts_ends_without_a_job(lab: Lab):
    lab.serve(asks_for_the_model)

    @lab.env.on_start
    async def load() -> None:
        await eventually(gate.is_set)

    job = lab.enqueue(asks_for_the_model)
    async with lab.replica(ready=False) as running:
        await eventually(lambda: lab.record()["state"] == "starting")
        lab.tell(ReplicaState.DRAINING, drain_reason="scale-down")
        await eventually(lambda: running.daemon.life.draining)
        gate.set()
        assert await running.code() == ExitCode.ASKED
    assert job.get_status() is JobStatus.QUEUED


async def test_a_stop_during_on_start_ends_it_when_the_grace_is_over(lab: Lab):
    lab.settings = replace(lab.settings, drain_grace=timedelta(seconds=0.1))
    lab.serve(asks_for_the_model)
    lab.env.on_start(stays)
    async with lab.replica(ready=False) as running:
        await eventually(lambda: seen == ["stays"])
        running.daemon.stop()
        assert await running.code() == ExitCode.ASKED
    assert seen == ["stays", "cleaned up"]


async def test_a_replica_that_is_not_wanted_any_more_ends_as_asked(lab: Lab):
    lab.serve(asks_for_the_model)
    lab.state_when_ordered = "draining"
    async with lab.replica(ready=False) as running:
        assert await running.code() == ExitCode.ASKED
    assert lab.record()["state"] == "draining"


async def test_a_paused_environment_is_not_claimed_from_until_it_resumes(lab: Lab):
    lab.settings = replace(lab.settings, heartbeat=timedelta(seconds=0.05))
    lab.serve(asks_for_the_model)
    async with lab.replica():
        lab.raw.hset("reuse:{lab}:environment", "paused", "1")
        job = lab.enqueue(asks_for_the_model)
        await eventually(lambda: lab.queued() == [job.id], what="the woken replica puts it back")
        lab.raw.hdel("reuse:{lab}:environment", "paused")
        await eventually(lambda: job.get_status() is JobStatus.FINISHED)
