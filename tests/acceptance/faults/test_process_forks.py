"""Processes that jobs fork: they outlive neither their replica's end nor keep what is its own."""

import os
import signal

import psutil
import pytest

from support.fleet_processes import FleetProcesses

pytestmark = pytest.mark.timeout(60)

TASKS = """
import multiprocessing

def forked(how: str) -> int:
    hear, tell = os.pipe()
    if (child := os.fork()) == 0:
        if how == "in a session of its own":
            os.setsid()
        os.write(tell, b"!")
        time.sleep(600)
        os._exit(0)
    os.read(hear, 1)
    os.close(hear)
    os.close(tell)
    return child

@env.task
async def fork(how: str) -> int:
    begin()
    return forked(how)

@env.task
async def terminate() -> int | None:
    # As a pool of multiprocessing does with its workers.
    begin()
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    child.terminate()
    child.join()
    return child.exitcode

@env.task
async def answer() -> int:
    return begin()
"""
APART = "in a session of its own"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_a_replica_waits_for_no_child_and_leaves_none_its_connections(
    short_leased: FleetProcesses, end: signal.Signals
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1), concurrency=2, tasks=TASKS)
    _, agent = fleet.serve()
    children = [app.fork.enqueue(how).result(timeout=20) for how in ("beside it", APART)]
    [replica] = fleet.ready(1)
    assert app.answer.enqueue().result(timeout=20) == replica.pid
    try:
        os.kill(replica.pid, end)
        fleet.gone(replica.name)
        assert not psutil.pid_exists(replica.pid)
        fleet.until(lambda: not psutil.pid_exists(children[0]), "the end of its group")
        # One that has left its group is on its own; what it inherited is closed.
        apart = psutil.Process(children[1])
        assert apart.is_running()
        assert apart.net_connections(kind="all") == []
        assert app.answer.enqueue().result(timeout=20) != replica.pid
        assert agent.poll() is None
    finally:
        for child in children:
            if psutil.pid_exists(child):
                os.kill(child, signal.SIGKILL)


def test_a_signal_to_a_child_is_not_its_replicas(short_leased: FleetProcesses):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1), concurrency=2, tasks=TASKS)
    fleet.serve()
    pid = app.answer.enqueue().result(timeout=20)
    for _ in range(3):
        assert app.terminate.enqueue().result(timeout=20) == -signal.SIGTERM
    assert app.answer.enqueue().result(timeout=20) == pid
    assert [each.pid for each in fleet.ready(1)] == [pid]
