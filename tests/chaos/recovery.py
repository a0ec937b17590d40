"""`python -m chaos.recovery`: how long it takes until work goes on after a death."""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from chaos.document import publish
from chaos.fleet import HOSTS, Fleet
from chaos.history import Run, host_of, told
from chaos.ledger import read
from chaos.peers import Wait, waits
from chaos.servers import OneServer
from reuse_queue.settings import Settings
from support.arguments import count, positive
from support.eventually import eventually_sync
from support.interrupts import stoppable
from support.server import programs

if TYPE_CHECKING:
    from reuse_queue import JobHandle

T = TypeVar("T")
_PATIENCE_S = 90.0
_LONG_S = 3.0
_REDIS_AWAY_S = 2.0
_WHOLE_LEASE = timedelta(seconds=30)


class Recoveries:
    """Kills something, and measures until work goes on; again and again on one fleet."""

    def __init__(self, fleet: Fleet) -> None:
        # The application reads where it is when it is imported.
        from chaos import app

        self._fleet = fleet
        self._app = app

    def of_a_replica(self) -> float:
        """Return how long a killed replica's job waits until it runs again."""
        run, job = self._running()
        killed = time.monotonic()
        os.kill(run.pid, 9)
        return self._second(job).began - killed

    def of_a_host(self) -> float:
        """Return the same for an agent that is killed, and with it all its replicas."""
        run, job = self._running()
        host = host_of(run.replica)
        killed = self._kill_agent(host)
        again = self._second(job).began - killed
        self._fleet.start_agent(host)
        self._settle()
        return again

    def of_an_agent(self) -> float:
        """Return the same where the agent is started again at once."""
        run, job = self._running()
        host = host_of(run.replica)
        killed = self._kill_agent(host)
        self._fleet.start_agent(host)
        again = self._second(job).began - killed
        self._settle()
        return again

    def of_the_scaler(self) -> float:
        """Return how long a replica that dies with the leader waits for the standby's order."""
        known = set(self._names())
        leader = self._until(self._fleet.leader, "a leader")
        scaler = self._fleet.scaler(leader)
        assert scaler is not None
        victims = [each for each in self._fleet.replicas() if each.name in known]
        killed = time.monotonic()
        scaler.kill()
        for each in victims:
            each.process.kill()
        self._until(lambda: set(self._names()) - known, "an order")
        took = time.monotonic() - killed
        self._fleet.start_scaler(leader)
        self._settle()
        return took

    def of_redis(self) -> float:
        """Return how long after its return the first job that is enqueued then has ended."""
        self._fleet.server.kill()
        time.sleep(_REDIS_AWAY_S)
        self._fleet.server.restart()
        back = time.monotonic()
        job = self._app.quick.enqueue("quick")
        ended = self._until(lambda: [run.ended for run in self._runs(job) if run.ended], "an end")
        self._settle()
        return ended[0] - back

    # ---------------------------------------------------------------------------------------

    def _running(self) -> tuple[Run, JobHandle[str]]:
        self._settle()
        job = self._app.slow.enqueue("slow", _LONG_S)
        return self._until(lambda: self._runs(job), "a run")[0], job

    def _second(self, job: JobHandle[str]) -> Run:
        return self._until(lambda: self._runs(job)[1:], "a second run")[0]

    def _runs(self, job: JobHandle[str]) -> list[Run]:
        story = told(read(self._app.ledger.path)).stories.get(job.id)
        return story.runs if story else []

    def _kill_agent(self, host: str) -> float:
        agent = self._fleet.agent(host)
        assert agent is not None
        killed = time.monotonic()
        agent.kill()
        return killed

    def _names(self) -> list[str]:
        found = self._fleet.raw.zrange("reuse:{main}:replicas", 0, -1)
        return [name.decode() for name in found]

    def _settle(self) -> None:
        """Wait until the fleet is whole and at rest."""
        self._until(lambda: all(self._fleet.agent(host) for host in HOSTS), "the agents")
        self._until(self._fleet.offered, "both hosts' offers")
        self._until(lambda: len(self._ready()) == len(self._names()) > 0, "ready replicas")

    def _ready(self) -> list[str]:
        state = "reuse:{main}:replica:"
        return [n for n in self._names() if self._fleet.raw.hget(state + n, "state") == b"ready"]

    @staticmethod
    def _until(probe: Callable[[], T | None], what: str) -> T:
        found = eventually_sync(probe, within=_PATIENCE_S, what=what)
        assert found is not None
        return found


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is measured, and how long it may take at the longest."""

    what: str
    measure: Callable[[Recoveries], float]
    aim: str = ""
    aim_s: float = math.inf
    most: int = sys.maxsize
    """How often at the most: a lease is long."""


_CASES = (
    Case(
        what="a replica is killed → its job runs again",
        measure=Recoveries.of_a_replica,
        aim="≤ 1 s",
        aim_s=1,
    ),
    Case(
        what="a host is killed → its job runs again elsewhere",
        measure=Recoveries.of_a_host,
        aim="≤ lease + 2 s",
        aim_s=_WHOLE_LEASE.total_seconds() + 2,
        most=3,
    ),
    Case(
        what="an agent is killed and started again → its job runs again",
        measure=Recoveries.of_an_agent,
    ),
    Case(
        what="the leading scaler is killed, and a replica → the standby orders another",
        measure=Recoveries.of_the_scaler,
        aim="≤ 5 s",
        aim_s=5,
    ),
    Case(
        what="Redis is back → a new job has ended",
        measure=Recoveries.of_redis,
        aim="≤ 3 s",
        aim_s=3,
    ),
)
Measured = tuple[Case, list[float]]


def main() -> int:
    """Measure and print; 1 if one of the times was longer than its aim."""
    options = _parser().parse_args()
    program = next(iter(programs().values()))
    ours = list(_ours(program, options.rounds))
    peers = waits(options.peers, program, options.wait) if options.peers else []
    lines = [*_own_table(ours), "", *_peers_table(ours, peers, options.wait)]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.report:
        publish(options.report, "recovery", text)
    sys.stderr.writelines(f"recovery: {each}\n" for each in missed(ours))
    return int(any(missed(ours)))


def missed(ours: Iterable[Measured]) -> Iterator[str]:
    """Yield, in words, which aims were missed."""
    for case, times in ours:
        if max(times) > case.aim_s:
            yield f"an aim was missed: {case.what}: {max(times):.2f} s, not {case.aim}"


def _ours(program: str, rounds: int) -> Iterator[Measured]:
    with tempfile.TemporaryDirectory(prefix="recovery-", ignore_cleanup_errors=True) as folder:
        settings = Settings(lease=_WHOLE_LEASE, log_format="json")
        fleet = Fleet(Path(folder), OneServer(program), settings)
        fleet.settings = replace(fleet.settings, log_level="warning")
        os.environ |= {**fleet.settings.to_env(), "CHAOS_FOLDER": folder}
        try:
            fleet.start()
            recoveries = Recoveries(fleet)
            for case in _CASES:
                times = [case.measure(recoveries) for _ in range(min(rounds, case.most))]
                yield case, times
        finally:
            fleet.close()


def _own_table(ours: Sequence[Measured]) -> Iterator[str]:
    yield f"| a lease of {_WHOLE_LEASE.seconds} s, the default | aim | median | longest | times |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for case, times in ours:
        middle, longest = f"{statistics.median(times):.2f} s", f"{max(times):.2f} s"
        yield f"| {case.what} | {case.aim} | {middle} | {longest} | {len(times)} |"


def _peers_table(ours: Sequence[Measured], peers: Sequence[Wait], patience: float) -> Iterator[str]:
    replica, host, agent = (f"{statistics.median(times):.2f} s" for _, times in ours[:3])
    yield "| kill -9 of … → its job runs again | the process that runs it | the whole worker |"
    yield "| --- | ---: | ---: |"
    yield f"| reuse_queue | {replica} | {agent} once started again, else {host} |"
    for peer in dict.fromkeys(each.peer for each in peers):
        found = {each.whole: each for each in peers if each.peer == peer}
        whole = _shown(found[True].seconds, patience)
        one = _shown(found[False].seconds, patience) if False in found else whole
        yield f"| {peer.name} | {one} | {whole} |"


def _shown(seconds: float | None, patience: float) -> str:
    return f"not within {patience:g} s" if seconds is None else f"{seconds:.2f} s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev recovery", description=__doc__)
    parser.add_argument(
        "--rounds",
        type=count,
        default=5,
        help="how often each is measured; 5, but 3 where a lease has to run out",
    )
    parser.add_argument("--peers", help="the Python that has rq, celery and dramatiq; none: ours")
    parser.add_argument("--wait", type=positive, default=150.0, help="seconds for a peer; 150")
    parser.add_argument("--report", type=Path, help="a file, or a document with a part for them")
    return parser


if __name__ == "__main__":
    sys.exit(stoppable("recovery", main))
