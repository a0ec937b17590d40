"""What fairness is compared with: no job is claimed before its slot is free."""

from reuse_queue.job import Claim
from reuse_worker import batch


def one_by_one() -> None:
    """Let this process, and those that it forks, claim nothing ahead.

    Raises:
        RuntimeError: that is decided elsewhere by now; what is measured would be something else.
    """
    if _ahead() < 1:
        raise RuntimeError("reuse_worker.batch claims nothing ahead under backlog: mend benchmarks")
    batch.MOST_AHEAD = 0
    if _ahead() > 0:
        raise RuntimeError("batch.MOST_AHEAD limits nothing any more: mend benchmarks/claiming.py")


def _ahead() -> int:
    """Return how much a replica with a single slot claims beyond it, of very many short jobs."""
    seen, pace = Claim(backlog=1_000_000, replicas=1), batch.Pace(run_s=1e-6)
    return batch.claim_size(free=1, ahead=0, concurrency=1, seen=seen, pace=pace) - 1
