"""What becomes of replicas that are ordered, and of their jobs."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from reuse_queue.broker.lease import Leases
from reuse_queue.facts import Death
from reuse_queue.job import JobStatus
from support.eventually import eventually
from support.lab import ENV, TASKS, Lab
from support.memory_group import memory_group

pytestmark = pytest.mark.timeout(60)


async def death(lab: Lab) -> Death:
    async def newest() -> Death | None:
        return next(iter((await lab.snapshot()).deaths), None)

    return await eventually(newest, what=f"a death; {lab.log()}")


async def pid_from(path: Path) -> int:
    """Return the process id that a task wrote when it began."""
    return int(await eventually(lambda: path.exists() and path.read_text(), what="a task's start"))


async def test_ordered_replicas_run_jobs_as_children_of_the_agent(lab: Lab):
    agent = lab.start()
    for name in await lab.order(2):
        replica = await lab.ready(name)
        process = psutil.Process(replica.pid)
        assert process.ppid() == agent.pid
        # A terminal's Ctrl-C does not reach it.
        assert os.getsid(replica.pid) == os.getpgid(replica.pid) == replica.pid
    assert await lab.result(await lab.enqueue("pid")) in {
        each.pid for each in (await lab.snapshot()).replicas
    }


async def test_the_job_of_a_killed_replica_runs_again(lab: Lab, tmp_path: Path):
    lab.start()
    [first] = await lab.order()
    pid = (await lab.ready(first)).pid
    job = await lab.enqueue("run_once_killing", str(tmp_path / "began"))
    await pid_from(tmp_path / "began")
    os.kill(pid, signal.SIGKILL)

    await lab.gone(first)
    # Nobody but the agent could have put it back: there is no scaler here.
    assert (await lab.job(job)).status is JobStatus.QUEUED
    assert (await lab.job(job)).deliveries_lost == 1
    ended = await death(lab)
    assert (ended.cause, ended.was_ready, ended.held) == ("killed by SIGKILL", True, 1)
    [second] = await lab.order()
    assert await lab.result(job) == (await lab.ready(second)).pid


async def test_a_job_that_blocks_past_its_timeout_is_killed_and_fails(lab: Lab, tmp_path: Path):
    lab.start()
    [name] = await lab.order()
    await lab.ready(name)
    job = await lab.enqueue("block", 60, str(tmp_path / "began"), timeout=1)
    assert (await lab.ended(job)).status is JobStatus.FAILED
    assert (await death(lab)).cause == "killed: a job ran past its timeout"
    await lab.gone(name)


async def test_a_replica_that_a_job_blocks_keeps_its_lease(lab: Lab, tmp_path: Path):
    lab.start()
    [name] = await lab.order()
    await lab.ready(name)
    lasts = lab.settings.lease.total_seconds()
    job = await lab.enqueue("block", lasts * 1.3, str(tmp_path / "began"))
    leases = Leases(lab.connection.keys, ENV, lab.settings)

    async def ended() -> bool:
        assert await lab.connection.arun(leases.reclaim()) == []
        return (await lab.job(job)).status.ended

    await eventually(ended, within=20)
    assert (await lab.job(job)).deliveries_lost == 0


async def test_a_stopped_replica_loses_its_lease_and_then_its_life(lab: Lab):
    lab.start()
    [name] = await lab.order()
    process = psutil.Process((await lab.ready(name)).pid)
    process.suspend()
    leases = Leases(lab.connection.keys, ENV, lab.settings)

    async def reclaimed() -> list[str]:
        return await lab.connection.arun(leases.reclaim())

    assert await eventually(reclaimed, within=20) == [name]
    await eventually(lambda: not process.is_running(), what=f"its end; {lab.log()}")


async def test_a_failing_on_start_hook_is_a_death_with_its_traceback(lab: Lab):
    lab.write("@env.on_start\nasync def load(): raise RuntimeError('no such model')\n" + TASKS)
    lab.start()
    [name] = await lab.order()
    ended = await death(lab)
    assert ended.replica == name
    assert not ended.was_ready
    assert ended.cause == "exit code 94 (could not start): RuntimeError: no such model"
    assert "in load" in ended.detail
    await lab.gone(name)


async def test_a_replica_that_does_not_become_ready_in_time_is_killed(lab: Lab):
    lab.settings = lab.within(start_timeout=timedelta(seconds=2))
    lab.write("@env.on_start\ndef hang(): time.sleep(600)\n" + TASKS)
    lab.start()
    [name] = await lab.order()
    assert (await death(lab)).cause == "not ready within 2 s"
    await lab.gone(name)


async def test_what_a_dead_replica_left_running_ends_with_it_and_strangers_are_reaped(
    lab: Lab, tmp_path: Path
):
    lab.write(
        TASKS
        + """
@env.task
async def leave(path: str) -> None:
    sleeper = subprocess.Popen(["sleep", "600"])
    subprocess.run(["sh", "-c", "(sleep 0.01 &)"])
    Path(path).write_text(str(sleeper.pid))
"""
    )
    agent = psutil.Process(lab.start().pid)
    [name] = await lab.order()
    pid = (await lab.ready(name)).pid
    await lab.enqueue("leave", str(tmp_path / "sleeper"))
    sleeper = psutil.Process(await pid_from(tmp_path / "sleeper"))
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not sleeper.is_running(), what="the end of what it left")
    await eventually(lambda: len(agent.children()) == 1, what="only the zygote")


async def test_spawned_replicas_load_the_application_themselves(lab: Lab):
    lab.write(more=", start_method='spawn'")
    agent = lab.start()
    [name] = await lab.order()
    replica = await lab.ready(name)
    assert psutil.Process(replica.pid).ppid() == agent.pid
    assert await lab.result(await lab.enqueue("pid")) == replica.pid


async def test_a_spawned_replica_of_other_code_than_was_ordered_says_so(lab: Lab):
    lab.write(more=", start_method='spawn'")
    lab.start()
    await lab.offered()
    lab.write("VERSION = 2\n" + TASKS, more=", start_method='spawn'")
    await lab.order()
    ended = await death(lab)
    assert ended.cause.startswith("exit code 94 (could not start): the code here has changed")


async def test_a_drained_replica_ends_without_a_death(lab: Lab):
    lab.start()
    [name] = await lab.order()
    await lab.ready(name)
    await lab.drain(name)
    await lab.gone(name)
    assert (await lab.snapshot()).deaths == ()


FORKS = """
real, me = os.fork, os.getpid()

def fork() -> int:
    if {where}:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return real()

os.fork = fork
"""


@pytest.mark.parametrize("where", ["os.getpid() == me", "os.getpid() != me"])
async def test_a_replica_that_cannot_be_forked_is_a_death(lab: Lab, where: str):
    lab.write(TASKS + FORKS.replace("{where}", where))
    lab.start()
    await lab.order()
    ended = await death(lab)
    assert not ended.was_ready
    assert ended.cause.startswith("not started: it could not be forked: ")
    assert "Resource temporarily unavailable" in ended.cause


@pytest.fixture
def group() -> Iterator[Path]:
    with memory_group(300) as made:
        yield made


async def test_a_replica_that_uses_too_much_memory_dies_of_that(lab: Lab, group: Path):
    lab.write(
        TASKS + "@env.task\nasync def eat() -> None: bytearray(10**9)[::4096] = b'x' * 244141\n"
    )
    lab.start(group=group)
    [name] = await lab.order()
    await lab.ready(name)
    job = await lab.enqueue("eat")
    assert (await death(lab)).cause == "out of memory: killed by the kernel"
    await lab.gone(name)
    assert (await lab.job(job)).deaths[0].endswith("out of memory: killed by the kernel")
    await lab.close()
