"""What other queues do in the same place: kill -9 of a worker that holds a job."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

from chaos.fleet import ROOT
from support.eventually import eventually_sync
from support.server import RedisServer

_WORKERS = 2
_STARTS_WITHIN_S = 60.0


@dataclass(frozen=True)
class Peer:
    """One adapter in benchmarks/deaths, and what it is called."""

    module: str
    name: str
    forks: bool = True
    """The process that runs a job is a child of the worker's."""


PEERS = (
    Peer("rq_simple", "rq, SimpleWorker, `Retry(max=3)`", forks=False),
    Peer("rq_fork", "rq, Worker, `Retry(max=3)`"),
    Peer("celery_late", "celery, prefork, `acks_late`, `reject_on_worker_lost`"),
    Peer("dramatiq_process", "dramatiq"),
)


@dataclass(frozen=True, kw_only=True)
class Wait:
    """How long one peer's job waited for its second run."""

    peer: Peer
    whole: bool
    """The whole worker was killed, not just the process that ran the job."""
    seconds: float | None
    """None: it did not run again while anybody waited."""


def waits(python: str, program: str, patience_s: float) -> list[Wait]:
    """Return each peer's waits, all at the same time, each on a Redis of its own."""
    cases = [(peer, whole) for peer in PEERS for whole in (False, True) if whole or peer.forks]
    with ThreadPoolExecutor(len(cases)) as pool:
        found = pool.map(lambda case: _wait(python, program, patience_s, *case), cases)
        return list(found)


def _wait(python: str, program: str, patience_s: float, peer: Peer, whole: bool) -> Wait:
    folder = Path(tempfile.mkdtemp(prefix="deaths-"))
    server = RedisServer(program, append_only=True)
    marks = folder / "marks"
    own = {"DEATHS_REDIS": f"unix://{server.socket}", "DEATHS_MARKS": str(marks)}
    if peer.module.startswith("celery"):
        own["DEATHS_REDIS"] = f"redis+socket://{server.socket}"
    environ = os.environ | own | {"PYTHONPATH": str(ROOT)}
    started: list[subprocess.Popen[bytes]] = []
    try:
        argv = (python, "-m", f"benchmarks.deaths.{peer.module}")
        with (folder / "log").open("wb") as log:
            started = [_start((*argv, "work"), environ, log.fileno()) for _ in range(_WORKERS)]
        subprocess.run((*argv, "send"), env=environ, cwd=ROOT, check=True, capture_output=True)
        [(pid, _)] = eventually_sync(
            lambda: _marks(marks), within=_STARTS_WITHIN_S, what=f"{peer.name}: the first run"
        )
        killed = time.monotonic()
        for process in _victims(pid, started) if whole else [psutil.Process(pid)]:
            process.kill()
        return Wait(peer=peer, whole=whole, seconds=_again(marks, killed, patience_s))
    finally:
        for worker in started:
            for process in _tree(worker.pid):
                process.kill()
            worker.wait()
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def _start(argv: Sequence[str], environ: dict[str, str], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, env=environ, cwd=ROOT, stdout=log, stderr=log)


def _marks(path: Path) -> list[tuple[int, float]]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(pid), float(at)) for pid, at in (line.split() for line in lines)]


def _victims(pid: int, started: Sequence[subprocess.Popen[bytes]]) -> list[psutil.Process]:
    """Return all processes of the worker that a process belongs to."""
    trees = (_tree(worker.pid) for worker in started)
    return next(tree for tree in trees if pid in {each.pid for each in tree})


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _again(marks: Path, killed: float, patience_s: float) -> float | None:
    while time.monotonic() < killed + patience_s:
        if len(found := _marks(marks)) > 1:
            return found[1][1] - killed
        time.sleep(0.01)
    return None
