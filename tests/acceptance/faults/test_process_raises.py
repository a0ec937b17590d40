"""Whatever a task raises, or does to its loop, is its own failure: its replica goes on."""

import pytest

from reuse_queue import TaskFailed
from support.fleet_processes import FleetProcesses

pytestmark = pytest.mark.timeout(90)

TASKS = """
import resource, sys, threading

def end(how: str) -> None:
    begin()
    if how == "SystemExit":
        sys.exit("out of here")
    if how == "KeyboardInterrupt":
        raise KeyboardInterrupt
    if how == "GeneratorExit":
        raise GeneratorExit
    if how == "CancelledError":
        raise asyncio.CancelledError
    if how == "RecursionError":
        end.__globals__["again"](how)
    if how == "MemoryError":
        # A leak that the limit of the process ends.
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, resource.RLIM_INFINITY))
        leaked = []
        try:
            while True:
                leaked.append(bytearray(2**24))
        finally:
            leaked.clear()
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)

def again(how: str) -> None:
    again(how)

@env.task
{kind}def leave(how: str) -> None:
    end(how)

@env.task
{kind}def answer() -> int:
    return begin()

@env.task
{kind}def leave_a_thread() -> None:
    # It is no daemon: at a normal end Python would wait for it.
    begin()
    threading.Thread(target=time.sleep, args=(600,)).start()
"""
LOOPS = """
@env.task
async def stop_the_loop() -> str:
    begin()
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.05)
    return "still here"

@env.task
async def close_the_loop() -> None:
    begin()
    asyncio.get_running_loop().close()
"""
KINDS = (
    "SystemExit",
    "KeyboardInterrupt",
    "GeneratorExit",
    "CancelledError",
    "RecursionError",
    "MemoryError",
)


@pytest.mark.parametrize("kind", ["async ", ""])
def test_a_replica_outlives_whatever_its_jobs_raise_and_ends_when_it_is_told_to(
    short_leased: FleetProcesses, kind: str
):
    fleet = short_leased
    concurrency = 4 if kind else 1
    tasks = TASKS.replace("{kind}", kind) + (LOOPS if kind else "")
    app = fleet.write(replicas=(0, 1) if kind else (1, 2), concurrency=concurrency, tasks=tasks)
    _, agent = fleet.serve()
    pid = app.answer.enqueue().result(timeout=20)
    for name in KINDS:
        job = app.leave.enqueue(name)
        with pytest.raises(TaskFailed, match=f"failed: .*{name}"):
            job.result(timeout=20)
        assert fleet.runs(job) == [pid]
    if kind:
        assert app.stop_the_loop.enqueue().result(timeout=20) == "still here"
        with pytest.raises(TaskFailed, match="Cannot close a running event loop"):
            app.close_the_loop.enqueue().result(timeout=20)
    app.leave_a_thread.enqueue().result(timeout=20)
    assert app.answer.enqueue().result(timeout=20) == pid
    assert fleet.snapshot().deaths == ()
    agent.terminate()
    assert fleet.ended(agent) == 0
    assert fleet.snapshot().deaths == ()
    assert "killed" not in fleet.logs()
