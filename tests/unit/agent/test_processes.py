"""Children: started, adopted, reaped."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import pytest

from reuse_agent.processes import Process, Processes
from support.eventually import eventually


@pytest.fixture
async def processes() -> AsyncIterator[Processes]:
    made = Processes()
    yield made
    made.close()


async def end_of(processes: Processes, *words: str) -> Process:
    done: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
    processes.spawn(words, os.environ, [], done.set_result)
    return await done


async def test_an_end_comes_with_its_exit_code_or_signal(processes: Processes):
    assert (await end_of(processes, "sh", "-c", "exit 7")).status == 7
    assert (await end_of(processes, "sh", "-c", "kill -9 $$")).status == -signal.SIGKILL


async def test_a_signal_to_one_that_has_ended_goes_nowhere(processes: Processes):
    process = await end_of(processes, "true")
    process.send(signal.SIGTERM)
    process.kill()
    assert not process.stopped


async def test_what_a_process_left_in_its_group_ends_with_it(processes: Processes, tmp_path):
    path = tmp_path / "pid"
    await end_of(processes, "sh", "-c", f"sleep 600 & echo $! > {path}")
    left = int(path.read_text())
    await eventually(lambda: not alive(left), what="its end")


async def test_orphans_of_a_descendant_are_adopted_and_reaped(processes: Processes, tmp_path):
    path = tmp_path / "pid"
    daemon = f"setsid sh -c 'echo $$ > {path}; sleep 0.05' &"
    await end_of(processes, "sh", "-c", f"{daemon} while [ ! -s {path} ]; do sleep 0.01; done")
    orphan = int(path.read_text())
    await eventually(lambda: not alive(orphan), what="its reaping")


async def test_an_expected_child_is_kept_until_it_is_adopted(processes: Processes):
    done: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
    with processes.expecting():
        pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", "exit(5)"])  # noqa: ASYNC220  # no pidfd is to watch it
        # It has ended, and its SIGCHLD has been handled, before anybody adopts it.
        await eventually(lambda: zombie(pid))
        for _ in range(3):
            await asyncio.sleep(0)
        assert zombie(pid)
        processes.adopt(pid, done.set_result)
    assert (await done).status == 5


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def zombie(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return False
