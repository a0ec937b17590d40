"""A real host agent with an application of the test's own; the test plays the scaler."""

import os
import shlex
import subprocess
import sys
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.queue import JobQueue
from reuse_queue.broker.scaling import Scaling
from reuse_queue.facts import (
    Action,
    ActionKind,
    Decision,
    DrainReason,
    EnvironmentState,
    Host,
    Replica,
    ReplicaState,
    Snapshot,
)
from reuse_queue.job import Job, NewJob, Terms
from reuse_queue.serializer import serializer
from reuse_queue.settings import Settings
from support.eventually import eventually

ENV = "trial"
HEAD = """
import asyncio, os, subprocess, sys, threading, time
from pathlib import Path
from reuse_queue import ReusePolicy, TaskEnvironment

env = TaskEnvironment("trial", reusable=ReusePolicy((0, 4), concurrency=4){more})
"""
TASKS = """
@env.task
async def pid() -> int:
    return os.getpid()

@env.task
async def run_once_killing(path: str) -> int:
    # The first run ends its replica's process, the second one answers.
    if not Path(path).exists():
        Path(path).write_text(str(os.getpid()))
        await asyncio.sleep(60)
    return os.getpid()

@env.task
async def block(seconds: float, path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(seconds)

@env.task
async def wait(seconds: float, path: str) -> str:
    Path(path).write_text(str(os.getpid()))
    await asyncio.sleep(seconds)
    return "waited"
"""


class Lab:
    """One Redis, one folder with an application, and agents of one host."""

    def __init__(self, connection: Connection, folder: Path) -> None:
        self.connection = connection
        self.settings = connection.settings
        self.folder = folder
        self.fleet = Fleet(connection.keys, self.settings)
        self.scaling = Scaling(connection.keys, self.settings)
        self.queue = JobQueue(connection.keys)
        self.agents: list[subprocess.Popen[bytes]] = []
        self._token = uuid.uuid4().hex

    # -- the application --------------------------------------------------------------------

    def write(self, text: str = TASKS, *, more: str = "", name: str = "trial_app") -> None:
        """Write the application's module."""
        (self.folder / f"{name}.py").write_text(HEAD.format(more=more) + text)

    def within(self, **times: timedelta) -> Settings:
        """Return the lab's settings with other times, for agents that start from now on."""
        return replace(self.settings, **times)  # type: ignore[arg-type]  # names are fields

    # -- the agent --------------------------------------------------------------------------

    def start(
        self,
        *words: str,
        target: str = "trial_app:env",
        group: Path | None = None,
        **environ: str,
    ) -> "subprocess.Popen[bytes]":
        """Start an agent, in a control group if one is given; its output is in agent.log."""
        join = f"echo $$ > {group}/cgroup.procs && " if group else ""
        command = [sys.executable, "-m", "reuse_agent", *words, target]
        with (self.folder / "agent.log").open("ab") as log:
            agent = subprocess.Popen(
                ["sh", "-c", f"{join}exec {shlex.join(command)}"],
                cwd=self.folder,
                env=os.environ | self.settings.to_env() | environ,
                stdout=log,
                stderr=log,
            )
        self.agents.append(agent)
        return agent

    def log(self) -> str:
        return (self.folder / "agent.log").read_text()

    async def host(self) -> Host | None:
        hosts = await self.connection.arun(self.fleet.hosts())
        return next((host for host in hosts if host.name == self.settings.host), None)

    async def offered(self) -> str:
        """Return the version on offer."""

        async def version() -> str:
            host = await self.host()
            return host.offers.get(ENV, "") if host else ""

        return await eventually(version, what=f"an offer; {self.log()}")

    # -- replicas ---------------------------------------------------------------------------

    async def order(self, count: int = 1) -> list[str]:
        """Order replicas of the version on offer, as the scaler would."""
        await self.connection.arun(self.scaling.lead(self._token, timedelta(seconds=60)))
        version = await self.offered()
        names = [f"{ENV}-{uuid.uuid4().hex[:6]}" for _ in range(count)]
        decision = Decision(
            environment=ENV,
            state=EnvironmentState.ACTIVE,
            actions=tuple(
                Action(
                    kind=ActionKind.START,
                    replica=name,
                    host=self.settings.host,
                    version=version,
                )
                for name in names
            ),
            reason="the test wants it",
        )
        assert await self.connection.arun(self.scaling.apply(self._token, decision)) == count
        return names

    async def snapshot(self) -> Snapshot:
        return await self.connection.arun(self.scaling.snapshot(ENV, poke=False))

    async def replica(self, name: str) -> Replica | None:
        snapshot = await self.snapshot()
        return next((each for each in snapshot.replicas if each.name == name), None)

    async def ready(self, name: str) -> Replica:
        """Return the replica once it is ready."""

        async def found() -> Replica | None:
            replica = await self.replica(name)
            return replica if replica and replica.state is ReplicaState.READY else None

        return await eventually(found, what=f"ready; {self.log()}")

    async def drain(self, name: str) -> None:
        assert await self.connection.arun(self.fleet.drain(ENV, name, DrainReason.OPERATOR))

    async def gone(self, name: str) -> None:
        """Return once the replica is off the books."""

        async def off() -> bool:
            return await self.replica(name) is None

        await eventually(off, what=f"off the books; {self.log()}")

    # -- jobs -------------------------------------------------------------------------------

    async def enqueue(self, task: str, *args: Any, timeout: float | None = None) -> str:
        job = NewJob(
            id=uuid.uuid4().hex,
            data=serializer("json").pack(f"trial_app.{task}", args, {}),
            terms=Terms(
                description=task,
                timeout=None if timeout is None else timedelta(seconds=timeout),
            ),
        )
        await self.connection.arun(self.queue.enqueue(ENV, [job]))
        return job.id

    async def job(self, job_id: str) -> Job:
        return await self.connection.arun(self.queue.fetch(job_id))

    async def ended(self, job_id: str) -> Job:
        """Return the job once nothing more happens to it."""

        async def found() -> Job | None:
            job = await self.job(job_id)
            return job if job.status.ended else None

        return await eventually(found, what=f"its end; {self.log()}")

    async def result(self, job_id: str) -> Any:
        await self.ended(job_id)
        _, record = await self.connection.arun(self.queue.result(job_id))
        assert record is not None
        assert not record.error, record
        return None if record.value is None else serializer("json").loads(record.value)

    async def close(self) -> None:
        """End the agents; nothing of theirs may be left."""
        for agent in self.agents:
            if agent.poll() is None:
                agent.kill()
            agent.wait()
        await nothing_left(self.folder)


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes that have a folder as their current one: all of one lab."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


async def nothing_left(folder: Path) -> None:
    await eventually(lambda: not processes_in(folder), what="the end of all processes")
