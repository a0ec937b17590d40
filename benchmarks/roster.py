"""The peers, and about how fast each is."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

OURS = "reuse_queue"
DROP_IN = "reuse_queue's rq worker"
"""Ours as well: what rq's users get by one line; no peer to compare with."""
RQ = "rq SimpleWorker"
_ADAPTERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Peer:
    """One adapter and the Python environment that it needs."""

    name: str
    module: str
    python: str
    package: str
    rates: Mapping[str, int] = field(default_factory=dict)
    """About how many jobs of each kind it runs in a second: a run of each is to take as long."""
    singly: bool = False
    """It has no concurrency within a worker."""

    @property
    def ours(self) -> bool:
        """It is the one that the others are the peers of."""
        return self.name == OURS

    @property
    def concurrency(self) -> int:
        """How many tasks that wait a worker of it may run at once."""
        return 1 if self.singly else 100

    def argv(self, *words: object) -> list[str]:
        """Return the command line of a verb of benchmarks.peer."""
        return [self.python, "-m", "benchmarks.peer", self.module, *map(str, words)]

    def release(self) -> str:
        """Return the version that is installed."""
        asked = f"from importlib.metadata import version; print(version({self.package!r}))"
        return subprocess.check_output([self.python, "-c", asked], text=True).strip()

    def settings(self) -> str:
        """Return what its adapter says of the settings it uses."""
        text = (_ADAPTERS / f"{self.module}.py").read_text()
        return " ".join((ast.get_docstring(ast.parse(text)) or "").split())


def peers(folder: Path) -> list[Peer]:
    """Return all peers; `folder` has the Python environments that they live in."""

    def python(name: str) -> str:
        return str(folder / name / "bin" / "python")

    main = python("main")
    return [
        Peer(OURS, "reuse", main, "reuse-queue", _rates(25_000, 9000, 5000, 850)),
        Peer(
            DROP_IN, "reuse_drop_in", main, "reuse-queue", _rates(6000, 80, 6000, 700), singly=True
        ),
        Peer(RQ, "rq_simple", main, "rq", _rates(400, 80, 400, 250), singly=True),
        Peer("rq Worker", "rq_fork", main, "rq", _rates(110, 50, 110, 90), singly=True),
        Peer("celery", "celery_solo", main, "celery", _rates(1500, 1500, 1500, 550)),
        Peer("dramatiq", "dramatiq_threads", main, "dramatiq", _rates(5000, 3500, 5000, 750)),
        Peer("huey", "huey_threads", main, "huey", _rates(3000, 2500, 3000, 730)),
        Peer("arq", "arq_fast", python("arq"), "arq", _rates(2200, 1900, 90, 85)),
        Peer("saq", "saq_async", python("older"), "saq", _rates(2400, 2400, 1200, 500)),
        Peer("streaq", "streaq_async", main, "streaq", _rates(1400, 1400, 700, 450)),
        Peer("taskiq", "taskiq_stream", main, "taskiq", _rates(2400, 2400, 1500, 600)),
        Peer("docket", "docket_async", python("older"), "pydocket", _rates(3000, 3000, 90, 85)),
    ]


def _rates(noop: int, sleep10: int, sync: int, cpu1: int) -> dict[str, int]:
    return {"noop": noop, "sleep10": sleep10, "sync": sync, "cpu1": cpu1}
