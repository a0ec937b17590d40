"""A very long queue: does enqueueing, claiming or draining get slower?"""

from __future__ import annotations

import sys

from benchmarks.harness import Run, run
from benchmarks.roster import Peer
from benchmarks.sizes import Sizes

_FEW = 40_000
"""Jobs in the short queue."""
_STEP = 20_000
"""Jobs whose enqueueing is timed, at each end of the long queue."""
_CLAIMS = 500
_PART = 0.1


def depth(peer: Peer, sizes: Sizes) -> dict[str, float]:
    """The same measured beside few jobs and beside very many."""
    rate = round(peer.rates["noop"] * sizes.seconds)
    with run(peer, "noop") as it:
        _, *first = it.ask("bulk", "noop", _FEW, _STEP)
        shallow = _claims(it) if peer.ours else {}
        few = _drained(it, rate)
    with run(peer, "noop") as it:
        _, *steps = it.ask("bulk", "noop", sizes.depth, _STEP)
        deep = _claims(it) if peer.ours else {}
        many = _drained(it, rate)
    figures = {
        "depth_enqueue_few_per_s": _STEP / min(*first, *steps[:2]),
        "depth_enqueue_many_per_s": _STEP / min(steps[-3:]),
        "depth_drain_few_per_s": few,
        "depth_drain_many_per_s": many,
    }
    for name in shallow:
        figures |= {f"depth_{name}_few": shallow[name], f"depth_{name}_many": deep[name]}
    return figures


def _claims(it: Run) -> dict[str, float]:
    """Return how long claims of a single job take."""
    argv = (sys.executable, "-m", "benchmarks.scripts", it.url, str(_CLAIMS), "1", "1")
    found = it.output(*argv)
    return {"claim_p50_ms": found["claim_p50_ms"], "claim_p99_ms": found["claim_p99_ms"]}


def _drained(it: Run, count: int) -> float:
    """Return how many jobs a second a worker runs, over the next `count`, after a tenth more."""
    count = min(count, round(_FEW * (1 - 3 * _PART)))
    it.start()
    early = it.some(round(count * _PART))
    late = it.some(early.count + count)
    return (late.count - early.count) / (late.last - early.last)
