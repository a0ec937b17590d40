"""Watch: which of the jobs on a board are overdue, beyond a doubt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reuse_queue.board import Overdue, Slot
from reuse_queue.job import Verdict

_VERDICTS = {
    Overdue.TIMEOUT: Verdict.FAILED,
    Overdue.DEADLINE: Verdict.FAILED,
    Overdue.CANCELED: Verdict.CANCELED,
    Overdue.HALTED: Verdict.STOPPED,
}


@dataclass(slots=True)
class Watch:
    """One replica's board, looked at again and again."""

    blocker: str = ""
    """The execution whose code the loop ran in the last look and in the one before, if any."""
    _onstage: str = ""
    _seen: set[str] = field(default_factory=set)

    def note(self, onstage: Slot | None) -> None:
        """Take in whose code the loop runs."""
        execution = onstage.execution if onstage else ""
        self.blocker = execution if execution == self._onstage else ""
        self._onstage = execution

    def overdue(self, slots: Iterable[Slot], now: float) -> Mapping[str, Verdict]:
        """Return the verdict on each execution that was overdue in the last look and still is.

        Twice: a slot may be read while it is written, and a job may end in its last moment.
        """
        late = {slot.execution: _VERDICTS[slot.meaning] for slot in slots if slot.deadline < now}
        again = {execution: late[execution] for execution in late if execution in self._seen}
        self._seen = set(late)
        return again


def reason(verdicts: Mapping[str, Verdict]) -> str:
    """Return in words why a replica is killed for these verdicts."""
    if Verdict.FAILED in verdicts.values():
        return "killed: a job ran past its timeout"
    if Verdict.CANCELED in verdicts.values():
        return "killed: a canceled job did not give way"
    return "killed: a stopped job did not give way"
