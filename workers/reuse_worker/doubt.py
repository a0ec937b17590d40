"""Doubt: lets calls wait that would begin while nobody knows whether the lease still lasts."""

from __future__ import annotations

from collections.abc import Callable

from reuse_worker.away import Away
from reuse_worker.call import Call
from reuse_worker.calls import Calls
from reuse_worker.tenure import Tenure


class Doubt:
    """From the first call that might not begin to the next renewal; all on the loop.

    Args:
        calls: what the replica holds.
        away: takes back what the sync thread has not begun.
        tenure: says when there is doubt, and when no more.
        fill: puts free slots to use.
    """

    def __init__(self, calls: Calls, away: Away, tenure: Tenure, fill: Callable[[], None]) -> None:
        self.lasts = False
        self._calls = calls
        self._away = away
        self._tenure = tenure
        self._fill = fill

    def put_back(self, call: Call) -> bool:
        """Let a call that would have begun, and whatever would next, wait for a renewal.

        False: it is not held any more.
        """
        self._away.put_back()
        if not self._calls.put_back(call):
            return False
        if not self.lasts:
            self.lasts = True
            self._tenure.once_sure(self._end)
        return True

    def _end(self) -> None:
        self.lasts = False
        self._fill()
