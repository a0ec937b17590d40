"""The kinds of jobs in the workload, and what must become of each."""

from __future__ import annotations

from dataclasses import dataclass

FINISHED, FAILED, CANCELED = "finished", "failed", "canceled"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the checker may expect of jobs of one kind."""

    ends: str = FINISHED
    """The final state, unless faults or a cancel make another one right."""
    raises: int = 0
    """How many of its runs raise before it comes to its end."""
    once: bool = False
    """It must not run twice, whatever happens (`redeliver=False`)."""
    deadly: bool = False
    """A run of it takes its replica along."""
    expires: bool = False
    """No run of it ever returns: its timeout ends it."""
    stubborn: bool = False
    """It does not give way at its timeout: its replica is killed, whoever is beside it."""
    bursts: bool = False
    """It takes all memory: its replica may come to its end, too."""
    blocks: bool = False
    """While it runs its replica cannot renew its own lease: its agent has to."""

    told: bool = False
    """It has a failure callback: each of its ends that is one has to be told of."""

    @property
    def retries(self) -> int:
        """How often it is tried again because it raised."""
        return max(0, self.raises - (self.ends == FAILED))


KINDS: dict[str, Kind] = {
    "quick": Kind(),
    "urgent": Kind(),
    "burst": Kind(),
    "slow": Kind(),
    "large": Kind(),
    "scheduled": Kind(),
    "sync": Kind(),
    "cpu": Kind(),
    "parent": Kind(),
    "child": Kind(),
    "fork": Kind(),
    "tree": Kind(),
    "branch": Kind(),
    "block": Kind(blocks=True),
    "hog": Kind(blocks=True),
    "spin": Kind(blocks=True),
    "unusual error": Kind(ends=FAILED, raises=1),
    "leak": Kind(ends=FAILED, raises=1, bursts=True),
    "flaky": Kind(raises=2),
    "failing": Kind(ends=FAILED, raises=2, told=True),
    "once": Kind(once=True, told=True),
    "unwanted": Kind(ends=CANCELED),
    "late": Kind(ends=FAILED, expires=True),
    "stuck": Kind(ends=FAILED, expires=True, told=True),
    "stubborn": Kind(ends=FAILED, expires=True, stubborn=True, told=True),
    "beside": Kind(),
    "once beside": Kind(once=True, told=True),
    "segfault": Kind(deadly=True),
    "poison": Kind(ends=FAILED, deadly=True, told=True),
    "odd payload": Kind(ends=FAILED),
    "odd fields": Kind(),
}
