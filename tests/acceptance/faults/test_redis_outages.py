"""Redis goes away again and again, for less than a lease: nobody grows by it."""

from datetime import timedelta
from operator import gt
from pathlib import Path

import psutil
import pytest

from support.faulty_redis import fleet_at, server
from support.fleet_processes import FleetProcesses

pytestmark = pytest.mark.timeout(120)
WARM_UP, OUTAGES = 5, 12
MAY_GROW = 2 * 2**20
# What a scaler, an agent and a replica say of each outage, and in which log.
NOTICES = [
    ("scaler", "lead not renewed"),
    ("agent-a", "redis out of reach"),
    ("agent-a", "heartbeat failed"),
]
APPLICATION = """
import asyncio
import whole_app
from reuse_queue.settings import Settings

whole_app.env.bind(Settings.from_env(), patience=60)

async def enqueue_all_the_time():
    while True:
        jobs = await whole_app.add.aenqueue_many([(1, 2)] * 3)
        jobs.append(await asyncio.to_thread(whole_app.add.enqueue, 1, 2))
        for job in jobs:
            assert await job == 3
        with (whole_app.FOLDER / "rounds").open("a") as rounds:
            rounds.write(".")

asyncio.run(enqueue_all_the_time())
"""


def test_memory_and_descriptors_stay_where_they_were_however_often_redis_goes_away(tmp_path: Path):
    with (
        server(append_only=True) as here,
        fleet_at(here.url, tmp_path, lease=timedelta(seconds=60)) as fleet,
    ):
        fleet.write(replicas=(1, 1), concurrency=4)
        scaler, agent = fleet.serve()
        application = fleet.application(APPLICATION)
        pids = {"scaler": scaler.pid, "agent": agent.pid, "application": application.pid}
        pids |= {"zygote": fleet.zygote(agent).pid, "replica": fleet.ready(1)[0].pid}
        processes = {name: psutil.Process(pid) for name, pid in pids.items()}

        def go_away() -> None:
            before = noticed(fleet)
            here.kill()
            fleet.until(lambda: all(map(gt, noticed(fleet), before)), "that all notice")
            here.restart()
            # One may have been all but over.
            done = rounds(fleet) + 2
            fleet.until(lambda: rounds(fleet) >= done, "work")
            fleet.until(lambda: agent_is_back(fleet), "what the agent says")

        for _ in range(WARM_UP):
            go_away()
        memory = {name: each.memory_full_info().uss for name, each in processes.items()}
        files = {name: each.num_fds() for name, each in processes.items()}
        for _ in range(OUTAGES):
            go_away()
        grown = {n: each.memory_full_info().uss - memory[n] for n, each in processes.items()}
        more = {name: each.num_fds() - files[name] for name, each in processes.items()}
        assert max(grown.values()) < MAY_GROW, grown
        # A few may just be on their way back, now or before; one for each outage is many more.
        assert max(more.values()) < OUTAGES / 2, more
        assert fleet.snapshot().deaths == ()


def noticed(fleet: FleetProcesses) -> list[int]:
    """Return how often each has said that Redis is away."""
    return [(fleet.folder / f"{log}.log").read_text().count(words) for log, words in NOTICES]


def agent_is_back(fleet: FleetProcesses) -> bool:
    """Return whether it has reached Redis after each outage; it says once that it has not."""
    lines = (fleet.folder / "agent-a.log").read_text().splitlines()
    own = [line for line in lines if "replica=" not in line]
    away, back = (sum(w in line for line in own) for w in (NOTICES[1][1], "redis reached again"))
    return away == back


def rounds(fleet: FleetProcesses) -> int:
    """Return how often the application has had its results."""
    path = fleet.folder / "rounds"
    return path.stat().st_size if path.exists() else 0
