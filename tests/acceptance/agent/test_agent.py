"""The life of the agent itself: its start, its end, its place on the books."""

import os
import signal
import socket
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from reuse_queue.broker.connection import Connection
from reuse_queue.job import JobStatus
from reuse_queue.settings import Settings
from support.eventually import eventually
from support.lab import ENV, TASKS, Lab, nothing_left, processes_in
from support.server import RedisServer, programs

pytestmark = pytest.mark.timeout(60)


async def began(path: Path) -> int:
    return int(await eventually(lambda: path.exists() and path.read_text(), what="a task's start"))


async def ended(lab: Lab, agent: "subprocess.Popen[bytes]") -> int:
    """Return the agent's exit code once it and all of its processes have ended."""
    await eventually(lambda: agent.poll() is not None, what=f"the agent's end; {lab.log()}")
    await nothing_left(lab.folder)
    return agent.returncode


async def test_sigterm_lets_jobs_finish_and_leaves_nothing(lab: Lab, tmp_path: Path):
    agent = lab.start()
    for name in await lab.order(2):
        await lab.ready(name)
    job = await lab.enqueue("wait", 1, str(tmp_path / "began"))
    await began(tmp_path / "began")
    agent.send_signal(signal.SIGTERM)

    async def draining() -> bool:
        host = await lab.host()
        return host is not None and host.draining

    await eventually(draining, what="draining")
    assert await ended(lab, agent) == 0
    assert (await lab.job(job)).status is JobStatus.FINISHED
    assert await lab.host() is None
    snapshot = await lab.snapshot()
    assert (snapshot.replicas, snapshot.deaths) == ((), ())


async def test_a_second_signal_ends_it_at_once_and_jobs_go_back(lab: Lab, tmp_path: Path):
    agent = lab.start()
    [name] = await lab.order()
    await lab.ready(name)
    job = await lab.enqueue("block", 600, str(tmp_path / "began"))
    await began(tmp_path / "began")
    agent.send_signal(signal.SIGINT)
    await eventually(lambda: "agent stopping" in lab.log())
    agent.send_signal(signal.SIGINT)
    assert await ended(lab, agent) == 0
    assert (await lab.job(job)).status is JobStatus.QUEUED
    assert (await lab.snapshot()).replicas == ()


async def test_what_does_not_end_within_the_grace_is_killed(lab: Lab, tmp_path: Path):
    lab.settings = lab.within(drain_grace=timedelta(seconds=0.1))
    agent = lab.start()
    [name] = await lab.order()
    await lab.ready(name)
    job = await lab.enqueue("block", 600, str(tmp_path / "began"))
    await began(tmp_path / "began")
    agent.terminate()
    assert await ended(lab, agent) == 0
    assert (await lab.job(job)).status is JobStatus.QUEUED


async def test_a_killed_agent_takes_all_with_it_and_the_next_one_takes_over(
    lab: Lab, tmp_path: Path
):
    # Far longer than the next one waits for it here.
    lab.settings = lab.within(lease=timedelta(seconds=60))
    agent = lab.start()
    [first] = await lab.order()
    await lab.ready(first)
    job = await lab.enqueue("run_once_killing", str(tmp_path / "began"))
    await began(tmp_path / "began")
    assert len(processes_in(lab.folder)) == 3
    agent.kill()
    assert await ended(lab, agent) == -signal.SIGKILL

    lab.start()
    await lab.gone(first)
    assert (await lab.job(job)).deliveries_lost == 1
    assert (await lab.snapshot()).deaths == ()
    [second] = await lab.order()
    assert await lab.result(job) == (await lab.ready(second)).pid


async def test_a_second_agent_of_one_host_says_so_and_ends(lab: Lab):
    first = lab.start()
    await lab.offered()
    second = lab.start()
    await eventually(lambda: second.poll() is not None)
    assert second.returncode == 1
    assert "runs as host 'testhost'" in lab.log()
    host = await lab.host()
    assert host is not None
    assert f"/{first.pid}/" in host.agent


async def test_a_zygote_that_dies_is_replaced(lab: Lab):
    agent = lab.start()
    await lab.offered()
    [zygote] = [each for each in processes_in(lab.folder) if each.pid != agent.pid]
    zygote.kill()
    await eventually(lambda: "zygote died" in lab.log())
    [name] = await lab.order()
    assert (await lab.ready(name)).pid


async def test_ends_are_reported_when_redis_is_back(tmp_path: Path):
    with_memory = RedisServer(next(iter(programs().values())), append_only=True)
    connection = Connection(
        Settings(redis_url=with_memory.url, host="testhost", drain_grace=timedelta(seconds=3))
    )
    lab = Lab(connection, tmp_path)
    try:
        lab.write()
        lab.start()
        killed, left = await lab.order(2)
        pid = (await lab.ready(killed)).pid
        survivor = (await lab.ready(left)).pid
        with_memory.kill()
        await eventually(lambda: "redis out of reach" in lab.log())
        os.kill(pid, signal.SIGKILL)
        with_memory.restart()
        await lab.gone(killed)
        assert (await lab.snapshot()).deaths[0].cause == "killed by SIGKILL"
        assert await lab.result(await lab.enqueue("pid")) == survivor
    finally:
        await lab.close()
        await connection.aclose()
        with_memory.close()


async def test_systemd_hears_when_it_is_ready_and_when_it_stops(lab: Lab, tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        agent = lab.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert systemd.recv(64) == b"READY=1"
        assert await lab.offered()
        agent.terminate()
        assert systemd.recv(64) == b"STOPPING=1"
        assert await ended(lab, agent) == 0


async def test_a_redis_that_refuses_to_write_ends_neither_agent_nor_busy_replicas(
    lab: Lab, raw: redis.Redis, tmp_path: Path
):
    agent = lab.start()
    [name] = await lab.order()
    pid = (await lab.ready(name)).pid
    jobs = [await lab.enqueue("wait", 600, str(tmp_path / f"began{n}")) for n in range(4)]
    for n in range(len(jobs)):
        await began(tmp_path / f"began{n}")
    raw.execute_command("ACL SETUSER", "default", "-zadd")  # type: ignore[no-untyped-call]
    try:
        await eventually(lambda: "redis refuses" in lab.log())
    finally:
        raw.execute_command("ACL SETUSER", "default", "+zadd")  # type: ignore[no-untyped-call]
    await eventually(lambda: "redis reached again" in lab.log())
    assert (await lab.ready(name)).pid == pid
    assert agent.poll() is None


# -- loading ------------------------------------------------------------------------------------


async def broken(lab: Lab, name: str, text: str) -> None:
    async def found() -> bool:
        host = await lab.host()
        return host is not None and text in host.broken.get(name, "")

    await eventually(found, what=f"{text!r} for {name}; {lab.log()}")


async def test_a_target_that_cannot_be_imported_is_broken_until_it_can(lab: Lab):
    lab.write("import no_such_library\n")
    agent = lab.start()
    await broken(lab, "trial_app:env", "ModuleNotFoundError: No module named 'no_such_library'")
    lab.write()
    agent.send_signal(signal.SIGHUP)
    [name] = await lab.order()
    await lab.ready(name)

    async def mended() -> bool:
        host = await lab.host()
        return host is not None and not host.broken

    await eventually(mended)


async def test_code_that_cannot_be_loaded_leaves_the_old_one_serving(lab: Lab):
    agent = lab.start()
    version = await lab.offered()
    lab.write("raise ValueError('half written')\n")
    agent.send_signal(signal.SIGHUP)
    await broken(lab, ENV, "ValueError: half written")
    [name] = await lab.order()
    assert (await lab.ready(name)).version == version


async def test_sighup_offers_new_code_and_leaves_running_replicas(lab: Lab):
    agent = lab.start()
    before = await lab.offered()
    [old] = await lab.order()
    await lab.ready(old)
    lab.write("@env.task\nasync def pid() -> str: return 'new'\n")
    agent.send_signal(signal.SIGHUP)

    async def reloaded() -> bool:
        return await lab.offered() != before

    await eventually(reloaded)
    [new] = await lab.order()
    assert (await lab.ready(new)).version == await lab.offered()
    assert (await lab.ready(old)).version == before
    await lab.drain(old)
    await lab.gone(old)
    assert await lab.result(await lab.enqueue("pid")) == "new"


async def test_a_policy_that_was_changed_against_its_rules_is_named(lab: Lab):
    lab.write("env.policy.idle_ttl = 5\n" + TASKS)
    lab.start()
    await broken(lab, "trial_app:env", "idle_ttl must be at least 30 seconds")


async def test_a_broken_environment_known_from_before_is_named(lab: Lab):
    agent = lab.start()
    await lab.offered()
    agent.terminate()
    await ended(lab, agent)
    lab.write("raise ValueError('half written')\n")
    lab.start()
    await broken(lab, ENV, "ValueError: half written")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("trial_app:nev", "trial_app has no attribute 'nev'; its environments: trial_app:env"),
        ("no_such:env", "there is no module 'no_such'"),
    ],
)
async def test_strict_ends_with_code_2_and_the_reason(lab: Lab, target: str, says: str):
    agent = lab.start("--strict", target=target)
    assert await ended(lab, agent) == 2
    assert says in lab.log()
    assert await lab.host() is None


async def test_on_a_server_that_evicts_jobs_it_does_not_start(lab: Lab, raw: redis.Redis):
    raw.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert await ended(lab, lab.start()) == 3
    finally:
        raw.config_set("maxmemory-policy", "noeviction")
    assert "maxmemory-policy is allkeys-lru" in lab.log()
    assert "Traceback" not in lab.log()
    assert await lab.host() is None


async def test_it_can_be_stopped_while_redis_is_not_there(tmp_path: Path):
    settings = Settings(redis_url=f"unix://{tmp_path}/nowhere.sock", host="testhost")
    connection = Connection(settings)
    lab = Lab(connection, tmp_path)
    lab.write()
    agent = lab.start()
    await eventually(lambda: "target loaded" in lab.log())
    agent.terminate()
    assert await ended(lab, agent) == 0
    await lab.close()
    await connection.aclose()
