"""The next release: this one's files, with a raised data format and nothing else that is new."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from reuse_queue.facts import FORMAT

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("reuse_queue", "workers/reuse_worker", "workers/reuse_agent")
# Where the format is written: Python's FORMAT, and Lua's.
_RAISED = ("reuse_queue/facts.py", "reuse_queue/broker/lua/lib/orders.lua")


def this_release(folder: Path) -> Sequence[str]:
    """Write this release into a folder; return the command that runs commands with it."""
    for each in _PACKAGES:
        target = folder / Path(each).name
        shutil.copytree(_ROOT / each, target, ignore=shutil.ignore_patterns("__pycache__"))
    # A fleet's processes start with a path of their own; this goes before it.
    return ("sh", "-c", f'PYTHONPATH="{folder}{os.pathsep}$PYTHONPATH" exec "$0" "$@"')


def next_release(folder: Path) -> Sequence[str]:
    """Write the next release into a folder; return the command that runs commands with it."""
    through = this_release(folder)
    for each in _RAISED:
        text = (folder / each).read_text()
        raised, count = re.subn(r"(?m)\bFORMAT = \d+$", f"FORMAT = {FORMAT + 1}", text)
        assert count == 1, each
        (folder / each).write_text(raised)
    return through
