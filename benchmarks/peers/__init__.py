"""One small adapter per peer: its tasks, its way to enqueue, its worker at its best settings.

An adapter has tasks `noop`, `sleep10`, `cpu1` and `fan`, which enqueues CHILDREN no-ops in the
peer's fastest way, waits for all their results in its own, and then counts itself; `sender(kind)`
or `asender(kind)`, which give a call that enqueues one; `bulk(kind)` or `abulk(kind)`, which give a
call that enqueues many, where the peer has a way; and `work()`, which becomes its worker. The first
lines of its docstring say which of the peer's settings it uses: they are printed beside the
figures.
"""

import os

CHILDREN = int(os.environ.get("BENCH_CHILDREN", "10"))
URL = os.environ.get("BENCH_REDIS", "redis://localhost")


def kind() -> str:
    """Return what the worker is started for; of `sync`, the tasks are no-ops one at a time.

    `fan` is a parent with room for its children, `alone` one that has the only slot there is.
    """
    return os.environ.get("BENCH_KIND", "noop")


def at_once(most: int) -> int:
    """Return how many tasks a worker may run at once."""
    return 1 if kind() in {"cpu1", "sync", "alone"} else most
