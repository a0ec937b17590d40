"""A whole fleet of real processes: scalers, agents with all they start, commands, an application.

The test is the application's client and the fleet's operator; nobody plays anything.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import psutil

from reuse_queue import JobHandle
from reuse_queue.broker.address import address
from reuse_queue.broker.clients import Clients
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.scaling import Scaling
from reuse_queue.facts import Decision, DrainReason, Host, Replica, ReplicaState, Snapshot
from reuse_queue.settings import Settings
from support.eventually import eventually_sync
from support.lab import processes_in
from support.whole_app import text

ENV = "whole"
T = TypeVar("T")

# Policies with TTLs below flyte's 30 s are refused wherever one is read: a test has no such time.
# Python imports a module of this name at every start.
_ANY_TTL = """
from datetime import timedelta
from reuse_queue import policy
policy.MIN_TTL = timedelta(0)
"""


class FleetProcesses:
    """Starts and ends the processes of one fleet, in a folder of its own, and looks at them."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = self._theirs = settings
        self.folder = folder
        self._clients = Clients(address(settings.redis_url))
        self.raw: Any = self._clients.blocking()  # its types say text or bytes
        self._connection = Connection(settings)
        self._fleet = Fleet(self._connection.keys, settings)
        self._scaling = Scaling(self._connection.keys, settings)
        self._started: list[subprocess.Popen[bytes]] = []
        (folder / "start").mkdir()
        (folder / "start" / "sitecustomize.py").write_text(_ANY_TTL)

    # -- the application --------------------------------------------------------------------

    def write(self, **how: Any) -> Any:
        """Write the application's module (see `whole_app.text`) and return it, imported here."""
        path = self.folder / "whole_app.py"
        path.write_text(text(self.folder, **how))
        return self._imported(path)

    def write_broken(self, line: str) -> None:
        """Put a line in front of the module that is there."""
        path = self.folder / "whole_app.py"
        path.write_text(f"{line}\n{path.read_text()}")

    def reconnect(self) -> None:
        """Let the test, as application and as observer, come anew."""
        self._connection.close()
        self._clients.close()
        self.raw = self._clients.blocking()

    def open(self, gate: str = "gate") -> None:
        """Let all jobs pass that wait at a gate."""
        (self.folder / gate).touch()

    def runs(self, job: JobHandle[Any]) -> list[int]:
        """Return the processes that began a job, in this order."""
        path = self.folder / f"runs-{job.id}"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def settings_of_processes(self, **changes: Any) -> None:
        """Let the processes that start from now on have other settings than the test."""
        self._theirs = replace(self.settings, **changes)

    def at_start(self, line: str) -> None:
        """Let the processes that start from now on run a line of Python before all else."""
        with (self.folder / "start" / "sitecustomize.py").open("a") as starts:
            starts.write(f"{line}\n")

    # -- processes --------------------------------------------------------------------------

    def scaler(self, through: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a scaler, by a command that runs commands if one is given."""
        return self._start("scaler", *through, sys.executable, "-m", "reuse_queue", "scaler")

    def agent(
        self, host: str = "a", *words: str, through: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Start an agent, by a command that runs commands if one is given."""
        target = "whole_app:env"
        words = (sys.executable, "-m", "reuse_agent", "--host", host, *words, target)
        return self._start(f"agent-{host}", *through, *words)

    def program(self, text: str, through: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a program of the application's, by a command that runs commands if one is given."""
        return self._start("program", *through, sys.executable, "-c", text)

    def serve(self, *words: str) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
        """Start a scaler and an agent, and return them once the environment is on offer."""
        started = self.scaler(), self.agent("a", *words)
        self.offered()
        return started

    def application(self, program: str) -> subprocess.Popen[bytes]:
        """Start a Python program that imports the application's module, as `whole_app`."""
        return self._start("application", sys.executable, "-c", program)

    def command(self, *words: str, code: int = 0) -> str:
        """Run `reuse-queue` with these words and return what it printed; it must end so."""
        done = subprocess.run(
            [sys.executable, "-m", "reuse_queue", *words],
            cwd=self.folder,
            env=self._environ(),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr, self.logs())
        return done.stdout

    def drain(self, *replicas: Replica) -> None:
        """Drain replicas, as an operator does; those that are gone are left alone."""
        for each in replicas:
            step = self._fleet.drain(each.environment, each.name, DrainReason.OPERATOR)
            self._connection.run(step)

    def shown(self) -> Any:
        """Return what `env show --json` says."""
        return json.loads(self.command("env", "show", ENV, "--json"))

    def zygote(self, agent: subprocess.Popen[bytes]) -> psutil.Process:
        """Return the zygote that an agent has started last."""
        children = psutil.Process(agent.pid).children()
        zygotes = [each for each in children if "zygote" in each.cmdline()]
        replicas = {replica.pid for replica in self.snapshot().replicas}
        # A replica keeps the command line of the zygote that it was forked from.
        return max((z for z in zygotes if z.pid not in replicas), key=psutil.Process.create_time)

    def ended(self, process: subprocess.Popen[bytes], within: float = 20.0) -> int:
        """Return a process's exit code, once it has ended."""
        self.until(lambda: process.poll() is not None, f"the end of {process.pid}", within=within)
        return process.returncode

    def close(self) -> None:
        """End every process; none may be left."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
        try:
            self.until(lambda: not processes_in(self.folder), "the end of all processes")
        finally:
            self._connection.close()
            self._clients.close()

    # -- what there is ----------------------------------------------------------------------

    def snapshot(self, env: str = ENV) -> Snapshot:
        return self._connection.run(self._scaling.snapshot(env, poke=False))

    def ready(self, count: int = 1) -> list[Replica]:
        """Return the replicas once just so many are ready, and no others are there."""

        def found() -> list[Replica] | None:
            replicas = self.snapshot().replicas
            fit = [each for each in replicas if each.state is ReplicaState.READY]
            return fit if len(fit) == len(replicas) == count else None

        return self.until(found, f"{count} replicas") or []

    def gone(self, *names: str) -> None:
        """Return once some replicas, or all, are off the books."""

        def off() -> bool:
            there = {replica.name for replica in self.snapshot().replicas}
            return not there.intersection(names or there)

        self.until(off, f"the end of {names or 'all replicas'}")

    def hosts(self) -> list[Host]:
        return self._connection.run(self._fleet.hosts())

    def offered(self, *, on: str = "a", other_than: str = "") -> str:
        """Return the version that a host offers, once it is another one."""

        def version() -> str:
            found = next((each for each in self.hosts() if each.name == on), None)
            offer = found.offers.get(ENV, "") if found else ""
            return offer if offer != other_than else ""

        return self.until(version, "an offer")

    def leader(self) -> int:
        """Return the process id of the scaler that leads, once there is one."""
        token = self.until(lambda: self.raw.get("reuse:leader"), "a leader")
        return int(token.decode().split(":")[1])

    def decisions(self) -> list[Decision]:
        """Return the newest decisions, newest first."""
        return self._connection.run(self._scaling.decisions(ENV, 100))

    # -- waiting ----------------------------------------------------------------------------

    def until(self, probe: Callable[[], T], what: str, within: float = 20.0) -> T:
        """Return the first true value of `probe()`; fail with all logs when none comes."""
        try:
            return eventually_sync(probe, within=within, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None

    def running(self, *jobs: JobHandle[Any]) -> None:
        """Return once all of these jobs have begun."""
        for job in jobs:
            self.until(lambda job=job: self.runs(job), f"the start of {job}")  # type: ignore[misc]

    def finished(self, jobs: Iterable[JobHandle[Any]], within: float = 30.0) -> list[Any]:
        """Return the jobs' results, once all have finished; each must have exactly one."""
        results = []
        for job in jobs:
            self.until(lambda job=job: job.status().ended, f"the end of {job}", within)  # type: ignore[misc]
            results.append(job.result(timeout=0))
            assert self.raw.xlen(f"rq:results:{job.id}") == 1, job
        return results

    def nothing_is_held(self) -> None:
        """Return once no key of a replica, a host or a running job is left; a scaler may help."""
        kinds = ("rq:worker*", "rq:execution*", "rq:wip:*", "reuse:host*")
        own = ("replica*", "assigned:*", "waiting:*", "cancels:*", "held")
        patterns = (*kinds, *(f"reuse:{{{ENV}}}:{each}" for each in own))
        self.until(lambda: not any(map(self.raw.keys, patterns)), f"the end of all {patterns}")

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text()[-8000:]}" for path in self.folder.glob("*.log")
        )

    # ---------------------------------------------------------------------------------------

    def _start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                words, cwd=self.folder, env=self._environ(), stdout=log, stderr=log
            )
        self._started.append(process)
        return process

    def _environ(self) -> dict[str, str]:
        path = os.pathsep.join(
            filter(None, [str(self.folder / "start"), os.environ.get("PYTHONPATH")])
        )
        # Python tells new sources from old ones by whole seconds and sizes: a test is faster.
        own = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        return os.environ | self._theirs.to_env() | own

    def _imported(self, path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.env.bind(self._connection, patience=20)
        return module
