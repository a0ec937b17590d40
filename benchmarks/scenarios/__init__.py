"""What is measured: each scenario takes a peer and sizes, and returns figures by name."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.roster import DROP_IN, OURS, RQ, Peer
from benchmarks.scenarios.backlog import cpu1, drain, drain_two, sleep10, sync
from benchmarks.scenarios.burst import burst
from benchmarks.scenarios.children import alone, fanout
from benchmarks.scenarios.depth import depth
from benchmarks.scenarios.enqueue import enqueue
from benchmarks.scenarios.fairness import fairness
from benchmarks.scenarios.idle import cold, latency, memory
from benchmarks.sizes import Sizes

Figures = dict[str, float]

SCENARIOS: dict[str, Callable[[Peer, Sizes], Figures]] = {
    "enqueue": enqueue,
    "drain": drain,
    "drain_two": drain_two,
    "sleep10": sleep10,
    "sync": sync,
    "cpu1": cpu1,
    "latency": latency,
    "cold": cold,
    "memory": memory,
    "burst": burst,
    "depth": depth,
    "fairness": fairness,
    "fanout": fanout,
    "alone": alone,
}
# The others are not compared there: with one job at a time it takes minutes, or nothing to compare.
_ONLY = {"depth": {OURS, RQ}, "fairness": {OURS}}


def takes_part(scenario: str, peer: Peer, sizes: Sizes) -> bool:
    """Return whether a peer is measured in a scenario of these sizes."""
    if scenario in {"burst", "fanout"} and peer.singly:
        return False
    if (scenario == "depth" and not sizes.depth) or (scenario == "alone" and not sizes.alone_s):
        return False
    if scenario == "alone" and peer.name == DROP_IN:
        return False
    return peer.name in _ONLY.get(scenario, {peer.name})
