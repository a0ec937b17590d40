"""The ledger: what was promised and what really ran, written outside Redis.

One append-only file that all processes share, a line for each event, each line one synchronous
write. No database: a process that is stopped or killed while it holds SQLite's lock would stall
all others, and here processes are stopped and killed all the time. A finished write survives its
process, O_DSYNC makes it survive the machine as well, and O_APPEND keeps lines whole.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LONGEST, _LONGEST_WHY = 4096, 300


class Ledger:
    """Writes events to one file; to be used from any number of threads and forked processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_DSYNC
        self._file = os.open(path, flags, 0o600)

    def accepted(self, job: str, kind: str) -> None:
        """Note that the application has been told that a job is enqueued."""
        self._write("accepted", job=job, kind=kind)

    def unsure(self, kind: str, jobs: int, parent: str = "") -> None:
        """Note that up to so many jobs may be there of which nobody may ever be told."""
        self._write("unsure", kind=kind, jobs=jobs, parent=parent)

    def canceled(self, job: str) -> None:
        """Note that the application has asked for a job's end."""
        self._write("canceled", job=job)

    def began(self, job: str, execution: str, kind: str, replica: str) -> None:
        """Note, in the replica, that a job's code begins to run."""
        pid = os.getpid()
        self._write("began", job=job, execution=execution, kind=kind, replica=replica, pid=pid)

    def ended(self, execution: str, how: str, why: str = "") -> None:
        """Note, in the replica, how the code of a job came to its end, and by which error."""
        self._write("ended", execution=execution, how=how, why=why[:_LONGEST_WHY])

    def told(self, job: str, error: str) -> None:
        """Note, in a job's failure callback, of which error it tells."""
        self._write("told", job=job, error=error)

    def fault(self, **facts: Any) -> None:
        """Note a fault that is over (the fields of `history.Fault`)."""
        self._write("fault", **facts)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, event: str, **facts: Any) -> None:
        # One clock for all processes of a machine, which nobody sets.
        line = json.dumps({"event": event, "at": time.monotonic(), **facts}).encode() + b"\n"
        if len(line) > _LONGEST:
            raise ValueError(f"a line of the ledger has at most {_LONGEST} bytes: {line[:100]!r}")
        os.write(self._file, line)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a ledger, in the order in which they were written."""
    with path.open("rb") as lines:
        for line in lines:
            yield json.loads(line)
