"""Fingerprint: the version of the code that a loaded environment runs."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from reuse_queue.environment import TaskEnvironment

_DIGITS = 12


def version(env: TaskEnvironment) -> str:
    """Return the environment's explicit version, else a short hash of what can be seen of it.

    That is its name, concurrency, serializer and start method, and the source files of the
    module that created it and of the modules that define its tasks. What those import (other
    modules, installed packages, model files) is not seen: an application that changes there
    alone gives its environment a `version=`.
    """
    if env.version:
        return env.version
    seen = hashlib.sha256()
    for part in _parts(env):
        seen.update(b"%d:" % len(part))
        seen.update(part)
    return seen.hexdigest()[:_DIGITS]


def _parts(env: TaskEnvironment) -> Iterator[bytes]:
    yield env.name.encode()
    yield str(env.policy.concurrency).encode()
    yield env.serializer.name.encode()
    yield env.start_method.encode()
    for module in sorted({env.module, *(task.function.__module__ for task in env.tasks.values())}):
        yield module.encode()
        yield _source(module)


def _source(module: str) -> bytes:
    path = getattr(sys.modules.get(module), "__file__", None)
    try:
        return Path(path).read_bytes() if path else b""
    except OSError:  # imported from an archive, or gone since
        return b""
