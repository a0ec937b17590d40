"""Whether faults explain that a job is dead: lost as often as it may be, each time by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaos.excuses import RECORDED_WITHIN_S, Excuse
from chaos.found import FoundDeath, FoundJob
from chaos.history import Story

NOTICED_WITHIN_S = 30.0
"""From the end of a fault and one more lease to the record of what was lost by it: those who have
to notice may be hit by others meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What there is to explain losses with."""

    excuses: Sequence[Excuse]
    pids: Mapping[str, int]
    """Replica → its process, as far as the ledger knows."""
    lease: float
    max_deliveries: int

    def killed(self, story: Story, there: FoundJob) -> bool:
        """Return whether a job was lost as often as kills it, to as many faults that hit it.

        Its record names the replicas: each must have been hit by a fault of its own, and so must
        every run that the ledger has of it. A job that was claimed and not begun has no run; it
        is lost all the same where nobody is left who knows that.

        What another job has done to its replica is no such fault: that one is charged for it
        alone. But what may run only once cannot be given back, whoever is to blame.
        """
        once = story.rules.once
        if not (1 if once else self.max_deliveries) <= there.losses == len(there.deaths):
            return False
        counting = [each for each in self.excuses if once or each.job in ("", story.job)]
        lost = [run for run in story.runs if run.how != "raised"]
        if not all(any(each.covers(run) for each in counting) for run in lost):
            return False
        return _each_its_own(
            [
                [number for number, each in enumerate(counting) if self._explains(each, death)]
                for death in there.deaths
            ]
        )

    def _explains(self, excuse: Excuse, death: FoundDeath) -> bool:
        noticed = excuse.until + self.lease + NOTICED_WITHIN_S
        in_time = excuse.since - RECORDED_WITHIN_S <= death.at <= noticed
        return in_time and excuse.hits(death.replica, self.pids.get(death.replica))


def _each_its_own(choices: Sequence[Sequence[int]], taken: frozenset[int] = frozenset()) -> bool:
    """Return whether one can be chosen from each, and none twice."""
    if not choices:
        return True
    first, *others = choices
    return any(_each_its_own(others, taken | {choice}) for choice in first if choice not in taken)
