"""Many jobs arrive at once where nothing runs, or where a fleet of fixed size waits for them."""

from __future__ import annotations

import time

from benchmarks.harness import PATIENCE_S, run
from benchmarks.ours import Attendance, Operator
from benchmarks.roster import Peer
from benchmarks.sizes import Sizes

_WORKERS = 2
_MINUTE_S = 60.0


def burst(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """From the first enqueue to the start of the last body, and the seconds replicas were there.

    Ours is dormant, may start two replicas, and lets them go again; a peer has two workers, warm
    and waiting. What is shown of the first minute includes what they wait for afterwards.
    """
    if peer.ours:
        return _ours(peer, sizes)
    with run(peer, "noop") as it:
        it.start(_WORKERS)
        it.ask("bulk", "noop", 100)
        it.wait(100)
        began, _ = it.ask("bulk", "noop", sizes.burst)
        took = it.wait(100 + sizes.burst).last - began
    return {
        "burst_s": took,
        "burst_replica_s": took * _WORKERS,
        "burst_minute_replica_s": max(took, _MINUTE_S) * _WORKERS,
    }


def _ours(peer: Peer, sizes: Sizes) -> dict[str, float]:
    with run(peer, "noop") as it, Operator(it.url) as operator:
        it.start(_WORKERS, least=0)
        it.ask("one", "noop", 1)
        it.wait(1)
        operator.doze()
        attendance = Attendance(it.url)
        attendance.start()
        began, _ = it.ask("bulk", "noop", sizes.burst)
        reading = it.wait(1 + sizes.burst)
        used = attendance.replica_s
        figures = {"burst_s": reading.last - began, "burst_replica_s": used}
        if sizes.tail:
            _until_gone(operator)
            figures["burst_minute_replica_s"] = attendance.ended()
        attendance.ended()
    return figures


def _until_gone(operator: Operator) -> None:
    ends = time.monotonic() + PATIENCE_S
    while operator.replicas():
        if time.monotonic() > ends:
            raise RuntimeError("the replicas of a burst did not go")
        time.sleep(0.2)
