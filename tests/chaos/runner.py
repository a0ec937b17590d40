"""One run: a fleet, a workload, faults; then calm, an orderly end, and the checker's verdict."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from chaos import app
from chaos.checker import Violation, check
from chaos.faults import Fault
from chaos.fleet import ENVIRONMENTS, Fleet
from chaos.found import Found, look
from chaos.history import History, told
from chaos.ledger import read
from chaos.plan import Planned
from chaos.workload import Workload
from support.eventually import eventually_sync

_ENDED = {b"finished", b"failed", b"canceled"}
_MOST_FAULTS_AT_ONCE = 8
_SUPERVISED_EVERY_S = 1.0
# Where there is nobody to hurt, there is soon again: others are being healed meanwhile.
_VICTIM_WITHIN_S = 15.0


@dataclass(kw_only=True)
class Outcome:
    """What came of a run."""

    history: History
    found: Found
    violations: list[Violation]
    seconds: float
    """How long the workload was under fire."""
    calm_s: float
    """From the healing of the last fault, and the last enqueue, to the last job's end."""
    dropped: list[str] = field(default_factory=list)
    """Faults that found nobody to hurt."""
    left: list[str] = field(default_factory=list)
    """Processes that outlived the fleet."""


class Runner:
    """Runs one plan upon one fleet."""

    def __init__(self, fleet: Fleet, *, seed: int, rate: float, patience_s: float) -> None:
        self._fleet = fleet
        self._seed = seed
        self._patience_s = patience_s
        self._workload = Workload(seed, rate)
        self._locks: dict[str, threading.Lock] = {}
        self._began = 0.0
        self._dropped: list[str] = []

    def run(self, plan: Sequence[Planned], seconds: float) -> Outcome:
        """Return what came of a plan and a workload of so many seconds."""
        self._fleet.start()
        with self._supervised():
            self._workload.start()
            self._began = time.monotonic()
            self._inject(plan)
            self._wait(self._began + seconds)
            self._workload.stop()
            if self._workload.problem is not None:
                raise self._workload.problem
            under_fire = time.monotonic() - self._began
            calm = self._calm()
        self._fleet.stop()
        return self._judged(under_fire, calm)

    # ---------------------------------------------------------------------------------------

    @contextmanager
    def _supervised(self) -> Iterator[None]:
        over = threading.Event()

        def keep() -> None:
            while not over.wait(_SUPERVISED_EVERY_S):
                self._fleet.restart_ended()

        thread = threading.Thread(target=keep, name="service manager")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _inject(self, plan: Sequence[Planned]) -> None:
        pool = ThreadPoolExecutor(_MOST_FAULTS_AT_ONCE)
        try:
            done = []
            for number, each in enumerate(plan):
                self._wait(self._began + each.at_s)
                done.append(pool.submit(self._upon, number, each.fault))
            for future in done:
                future.result()
        finally:
            # All are done; or the run is given up, and those that wait for their turn need none.
            pool.shutdown(wait=False, cancel_futures=True)

    def _upon(self, number: int, fault: Fault) -> None:
        """Let one fault come over the fleet, once what it uses is whole again."""
        with ExitStack() as used:
            for name in sorted(fault.uses):
                used.enter_context(self._locks.setdefault(name, threading.Lock()))
            self._do(fault, random.Random(f"{self._seed}-{number}"))

    def _do(self, fault: Fault, rng: random.Random) -> None:
        gives_up = time.monotonic() + _VICTIM_WITHIN_S
        injected = time.monotonic()
        while (harm := fault.inject(self._fleet, rng)) is None:
            if time.monotonic() > gives_up:
                self._dropped.append(fault.name)
                return
            time.sleep(0.1)
            injected = time.monotonic()
        time.sleep(fault.lasts_s)
        fault.heal(self._fleet)
        app.ledger.fault(
            name=fault.name,
            injected=injected,
            healed=time.monotonic(),
            what=harm.what,
            pids=harm.pids,
            replicas=harm.replicas,
            hosts=harm.hosts,
            stopped=harm.stopped,
            unattended=harm.unattended,
            silence=harm.silence,
            hinders=harm.hinders,
        )

    def _calm(self) -> float:
        """Wait until all jobs have ended; return how long that took.

        What has not ended by then never will: the checker says which.
        """
        began = time.monotonic()
        with suppress(AssertionError):
            eventually_sync(self._all_ended, within=self._patience_s, what="the end of all jobs")
        return time.monotonic() - began

    def _all_ended(self) -> bool:
        """Return whether every job that there is has ended, those of unknown parents too."""
        keys = list(self._fleet.raw.scan_iter("rq:job:*", count=1000))
        for start in range(0, len(keys), 1000):
            pipe = self._fleet.raw.pipeline(transaction=False)
            for key in keys[start : start + 1000]:
                pipe.hget(key, "status")
            if not _ENDED.issuperset(pipe.execute()):
                time.sleep(0.2)
                return False
        return True

    def _judged(self, seconds: float, calm: float) -> Outcome:
        history = told(read(app.ledger.path))
        found = look(self._fleet.raw, ENVIRONMENTS)
        settings = self._fleet.settings
        violations = check(
            history,
            found,
            lease=settings.lease.total_seconds(),
            calm_s=calm,
            max_deliveries=settings.max_deliveries,
        )
        return Outcome(
            history=history,
            found=found,
            violations=violations,
            seconds=seconds,
            calm_s=calm,
            dropped=self._dropped,
            left=self._fleet.left(),
        )

    @staticmethod
    def _wait(until: float) -> None:
        time.sleep(max(0.0, until - time.monotonic()))
