"""Clocks that are wrong, by libfaketime where it is installed."""

from __future__ import annotations

from pathlib import Path

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def clock(skew: str) -> dict[str, str]:
    """Return the variables under which a process has a clock that is so wrong; none for right.

    What measures spans of time keeps its own clock: the ledger goes by that.
    """
    if not skew:
        return {}
    return {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME": skew,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Its processes share a lock otherwise, and some are killed while they hold it.
        "FAKETIME_DISABLE_SHM": "1",
    }
