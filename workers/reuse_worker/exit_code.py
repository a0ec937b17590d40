"""Exit codes of a replica's process; its own are numbers that applications hardly use."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Why a replica's process ended by itself."""

    ASKED = 0
    """It drained, or was not wanted any more: nothing is amiss."""
    UNEXPECTED = 1
    """An error in the replica itself, or no Redis to register with."""
    FENCED = 93
    """It lost its lease, or Redis for 2/3 of it, and let go of all it held."""
    START_FAILED = 94
    """An on_start hook raised; its traceback was reported."""
