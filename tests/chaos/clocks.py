"""Clocks that are wrong, by libfaketime where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
_SHARED = "FAKETIME_SHARED"
_SAY_AND_LEAVE_IT = f"import os; print(os.environ['{_SHARED}'], flush=True); os._exit(0)"


class Clocks:
    """By how much the clocks of hosts are wrong: `+1h`, or nothing."""

    def __init__(self) -> None:
        self._wrong: dict[str, str] = {}
        self._shared = ""

    def of(self, host: str) -> str:
        """Return by how much a host's clock is wrong."""
        return self._wrong.get(host, "")

    def put(self, host: str, skew: str) -> None:
        """Put a host's clock wrong, or right; what is started there from now on has it."""
        # Each process would make a lock and a page of its own, and leave them if it is killed.
        self._shared = self._shared or _made()
        self._wrong[host] = skew

    def variables(self, host: str) -> dict[str, str]:
        """Return the variables under which a process has its host's clock.

        What measures spans of time keeps its own clock: the ledger goes by that.
        """
        if not self.of(host):
            return {}
        return _variables(self.of(host)) | {_SHARED: self._shared}

    def close(self) -> None:
        """Remove what is left of them."""
        for name in self._shared.split():
            for left in (name[1:], f"sem.{name[1:]}"):
                (Path("/dev/shm") / left).unlink(missing_ok=True)


def _made() -> str:
    done = subprocess.run(
        [sys.executable, "-c", _SAY_AND_LEAVE_IT],
        env=os.environ | _variables("+0"),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def _variables(skew: str) -> dict[str, str]:
    return {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME": skew,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
