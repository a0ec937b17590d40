"""A control group that allows only so much memory, of whichever version this machine has."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path("/sys/fs/cgroup")
# What no installed package changes: a container's groups can be read-only, or not its own.
_NOT_OURS = {errno.EROFS, errno.EACCES, errno.EPERM, errno.EBUSY, errno.ENOENT, errno.ENOTSUP}


@contextlib.contextmanager
def memory_group(mebibytes: int, root: Path = _ROOT) -> Iterator[Path]:
    """Yield a group of its own; skip the test, in CI too, where this machine lets nobody make one.

    Of version 2, `memory.max`, in the tree's root; of version 1, in the memory controller's tree.
    """
    unified = (root / "cgroup.controllers").exists()
    group = (root if unified else root / "memory") / f"reuse-queue-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        try:
            group.mkdir()
            stack.callback(group.rmdir)
            if unified:
                _limit(group, mebibytes)
            else:
                (group / "memory.limit_in_bytes").write_text(str(mebibytes * 2**20))
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            pytest.skip(f"this machine lets nobody limit a control group's memory: {error}")
        yield group


def _limit(group: Path, mebibytes: int) -> None:
    if not (group / "memory.max").exists():
        (group.parent / "cgroup.subtree_control").write_text("+memory")
    (group / "memory.max").write_text(str(mebibytes * 2**20))
    swap = group / "memory.swap.max"
    if swap.exists():
        swap.write_text("0")
