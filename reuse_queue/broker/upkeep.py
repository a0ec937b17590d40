"""Upkeep: what somebody has to do for an environment all the time. All methods return steps."""

from __future__ import annotations

from reuse_queue.broker.connection import Step
from reuse_queue.broker.keys import Keys
from reuse_queue.broker.lease import Leases
from reuse_queue.broker.queue import JobQueue
from reuse_queue.settings import Settings

# Children that go with canceled jobs, of one environment at a time.
_FELLED = 5000


class Upkeep:
    """Lets in what is due, gives back what lost replicas held, and forgets what is over.

    Any number may do this, at the same time.
    """

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._settings = settings
        self._queue = JobQueue(keys)

    def let_in(self, env: str) -> Step[int]:
        """Let jobs that are due into the queue, and fail those that are too late."""
        return (yield from self._queue.due(env))

    def tidy(self, env: str) -> Step[list[str]]:
        """Do all the rest; return the replicas that were lost."""
        lost = yield from Leases(self._keys, env, self._settings).reclaim()
        yield from self._queue.sweep(env)
        yield from self._queue.fell(env, _FELLED)
        return lost
