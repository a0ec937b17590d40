"""What a soak compares: what Redis holds, and what each process of the fleet holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

MIB = 1024 * 1024


KEYS, DATA, CONNECTIONS = "keys", "data (MiB)", "connections"
MEMORY, FILES, THREADS = "memory (MiB)", "open files", "threads"

ALLOWED = {
    KEYS: 8,
    DATA: 1,
    CONNECTIONS: 4,
    MEMORY: 8,
    FILES: 2,
    THREADS: 1,
}
"""Growth that is no leak: streams up to their caps, caches that fill, an allocator's slack."""


@dataclass(frozen=True)
class Figure:
    """How much one thing has of one kind: before the jobs, and after."""

    of: str
    what: str
    before: float
    after: float

    @property
    def grew(self) -> bool:
        return self.after - self.before > ALLOWED[self.what]

    def __str__(self) -> str:
        return f"{self.of}: {self.what}"


Reading = Mapping[str, Mapping[str, float]]
"""Thing → kind of figure → how much."""


def figures(before: Reading, after: Reading) -> list[Figure]:
    """Hold two readings against each other; what is in only one of them has 0 in the other."""
    return [
        Figure(of, what, before.get(of, {}).get(what, 0.0), after.get(of, {}).get(what, 0.0))
        for of in dict.fromkeys([*before, *after])
        for what in {**before.get(of, {}), **after.get(of, {})}
    ]


def table(rows: Sequence[Figure]) -> str:
    """Return the figures as tables in Markdown: that of Redis, and that of the processes."""
    return "\n\n".join(
        _table(kinds, [row for row in rows if row.what in kinds])
        for kinds in ((KEYS, DATA, CONNECTIONS), (MEMORY, FILES, THREADS))
    )


def _table(kinds: Sequence[str], rows: Sequence[Figure]) -> str:
    cells = {(row.of, row.what): _cell(row) for row in rows}
    lines = [("", *kinds), ("---", *["---:"] * len(kinds))]
    lines += [
        (of, *(cells.get((of, what), "") for what in kinds))
        for of in dict.fromkeys(row.of for row in rows)
    ]
    lines.append(("may grow by", *(f"{ALLOWED[what]:g}" for what in kinds)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(row: Figure) -> str:
    before, after = (f"{each:,.1f}".removesuffix(".0") for each in (row.before, row.after))
    return f"{before} → {after}{' **grew**' if row.grew else ''}"


def of_redis(raw: Any) -> dict[str, dict[str, float]]:
    """Return how many keys there are, what they take, and how many clients are connected."""
    return {
        "Redis": {
            KEYS: raw.dbsize(),
            DATA: raw.info("memory")["used_memory_dataset"] / MIB,
            CONNECTIONS: raw.info("clients")["connected_clients"],
        }
    }


def of_processes(named: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Return what processes have, by their names."""
    return {name: _of(psutil.Process(pid)) for name, pid in named.items()}


def _of(process: psutil.Process) -> dict[str, float]:
    return {
        MEMORY: _anonymous(process.pid) / MIB,
        FILES: process.num_fds(),
        THREADS: process.num_threads(),
    }


def _anonymous(pid: int) -> int:
    """Return the bytes of a process that are no file's: its heap.

    RSS and PSS also change with what else runs on the machine (files that are shared), and with
    which pages of its zygote a replica has written to.
    """
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (line,) = (each for each in rollup.splitlines() if each.startswith("Anonymous:"))
    return int(line.split()[1]) * 1024
