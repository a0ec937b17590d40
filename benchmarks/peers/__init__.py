"""One small adapter per peer: its tasks, its way to enqueue, its worker at its best settings.

An adapter has tasks `noop`, `sleep10` and `cpu1`; `sender(kind)` or `asender(kind)`, which give a
call that enqueues one; `bulk(kind)` or `abulk(kind)`, which give a call that enqueues many, where
the peer has a way; and `work()`, which becomes its worker. The first lines of its docstring say
which of the peer's settings it uses: they are printed beside the figures.
"""

import os

URL = os.environ.get("BENCH_REDIS", "redis://localhost")


def kind() -> str:
    """Return what the worker is started for; of `sync`, the tasks are no-ops one at a time."""
    return os.environ.get("BENCH_KIND", "noop")


def at_once(most: int) -> int:
    """Return how many tasks a worker may run at once."""
    return 1 if kind() in {"cpu1", "sync"} else most
