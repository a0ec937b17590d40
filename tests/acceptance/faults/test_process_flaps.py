"""Connections that break again and again: nobody grows by it, and nobody goes deaf."""

import psutil
import pytest

from support.fleet_processes import FleetProcesses
from support.whole_app import COROUTINES

pytestmark = pytest.mark.timeout(120)
BREAKS = 60
MAY_GROW = 3 * 2**20


def test_memory_and_descriptors_stay_where_they_were_however_often_connections_break(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(1, 2), concurrency=2, tasks=COROUTINES)
    scaler, agent = fleet.serve()
    pids = {"scaler": scaler.pid, "agent": agent.pid, "replica": fleet.ready(1)[0].pid}
    processes = {name: psutil.Process(pid) for name, pid in pids.items()}

    def break_all() -> None:
        for kind in ("normal", "pubsub"):
            fleet.raw.execute_command("CLIENT", "KILL", "TYPE", kind)
        assert app.add.enqueue(1, 2).result(timeout=20) == 3

    for _ in range(BREAKS):
        break_all()
    before = {name: each.memory_info().rss for name, each in processes.items()}
    fds = {name: each.num_fds() for name, each in processes.items()}
    for _ in range(BREAKS):
        break_all()
    grown = {name: each.memory_info().rss - before[name] for name, each in processes.items()}
    assert max(grown.values()) < MAY_GROW, grown
    # A few may just be on their way back, now or before; one for each break would be many more.
    more = {name: each.num_fds() - fds[name] for name, each in processes.items()}
    assert max(more.values()) < BREAKS / 6, more
    assert fleet.snapshot().deaths == ()
