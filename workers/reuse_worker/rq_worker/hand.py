"""Hand: the jobs that one worker has claimed ahead, and the ends that it has not recorded yet."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reuse_queue.job import Outcome, Recorded

# Results are kept back up to this size; the next end is recorded with all before it.
_MOST_BYTES = 1024 * 1024


@dataclass(slots=True, eq=False)
class Held:
    """A job that is claimed here."""

    job: Any
    """rq's job."""
    queue: Any
    """rq's queue that it came from."""
    execution: Any
    """rq's execution."""
    doomed: bool = False
    """It was told to stop before it had begun."""


@dataclass(slots=True, eq=False)
class End:
    """How a job ended, and what became of that; None where it could not be recorded."""

    outcome: Outcome
    job: Any
    execution: Any
    in_rqs_way: Callable[[], None]
    """Records it as rq does: for a job that was canceled while it ran."""
    recorded: Recorded | None = None


class Hand:
    """What the main thread works off and another thread may take back; nothing goes to both."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        """When the main thread last turned to a job."""
        self.filled = threading.Event()
        """Set while there may be something in the hand."""
        self._ahead: deque[Held] = deque()
        self._ends: list[End] = []
        self._bytes = 0
        self._turn = threading.Lock()

    # -- jobs claimed ahead -----------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many jobs wait."""
        return len(self._ahead)

    def add(self, jobs: list[Held]) -> None:
        """Let jobs wait, in this order."""
        self.began = time.monotonic()
        self._ahead.extend(jobs)
        if len(jobs) > 1:
            self.filled.set()

    def next(self) -> Held | None:
        """Take the job that is next."""
        self.began = time.monotonic()
        try:
            return self._ahead.popleft()
        except IndexError:
            return None

    def give_back(self) -> list[Held]:
        """Take all jobs that wait, in their order."""
        taken = []
        while True:
            try:
                taken.append(self._ahead.popleft())
            except IndexError:
                return taken

    def doom(self, job_id: str, execution: str) -> bool:
        """Mark a waiting job, named by either id, as told to stop; return whether it was there."""
        for each in list(self._ahead):
            if execution == each.execution.id or job_id == each.job.id:
                each.doomed = True
                return True
        return False

    # -- ends -------------------------------------------------------------------------------

    def keep(self, end: End) -> bool:
        """Keep an end; return whether it may wait for more to be recorded with it."""
        with self._turn:
            self._ends.append(end)
            self._bytes += len(end.outcome.value or b"") + len(end.outcome.error)
            return self._bytes < _MOST_BYTES and bool(self._ahead)

    def ends(self) -> list[End]:
        """Take all ends that are not recorded yet, in their order."""
        with self._turn:
            ends, self._ends, self._bytes = self._ends, [], 0
            return ends

    @property
    def empty(self) -> bool:
        """Whether nothing waits, neither jobs nor ends."""
        return not self._ahead and not self._ends
