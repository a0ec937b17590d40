"""`python -m trees`: random trees of jobs on fleet after fleet, drawn from a seed.

Each fleet has its own numbers of replicas and slots and runs twenty trees, in which replicas are
killed, drained and stopped for longer than a lease. Ends with 1 at the first tree that lost a
job, ran one again without need, returned something else than it should, or left something behind.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, Phase, given
from hypothesis import seed as hypothesis_seed
from hypothesis import settings as hypothesis_settings

from reuse_queue.policy import StarvationWarning
from reuse_queue.settings import Settings
from support.arguments import positive
from support.call_graphs import Node
from support.fleet_processes import FleetProcesses
from support.interrupts import stoppable
from support.server import RedisServer, programs
from trees.proof import Mishap, Proof, mishaps, trees

EACH = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev trees", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--minutes", type=positive, default=5.0, help="how long; 5")
    parser.add_argument("--seed", type=int, help="of an earlier run, to have the same trees again")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    warnings.simplefilter("ignore", StarvationWarning)
    drawn, ends, ran = random.Random(seed), time.monotonic() + options.minutes * 60, 0
    print(f"seed {seed}")
    while time.monotonic() < ends:
        ran += fleet(drawn.randint(1, 3), drawn.randint(1, 7), drawn.randrange(1_000_000))
    print(f"{ran} trees, and nothing was lost")
    return 0


def fleet(replicas: int, concurrency: int, seed: int) -> int:
    """Run trees on one fleet; return how many. Its files are kept if one of them fails."""
    server = RedisServer(next(iter(programs().values())))
    folder = Path(tempfile.mkdtemp(prefix="trees-"))
    settings = replace(
        Settings(),
        host="testhost",
        redis_url=server.url,
        lease=timedelta(seconds=5),
        drain_grace=timedelta(seconds=20),
        kill_grace=timedelta(seconds=0.3),
    )
    started, keep = FleetProcesses(settings, folder), True
    try:
        proof = Proof(started, replicas=replicas, concurrency=concurrency)

        @hypothesis_seed(seed)
        @hypothesis_settings(
            max_examples=EACH,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(trees(40), mishaps("kill", "kill", "drain", "drain", "stop"))
        def check(tree: Node, troubles: Sequence[Mishap]) -> None:
            proof.check(tree, troubles)

        check()
        proof.close()
        struck, keep = proof.struck, False
    except KeyboardInterrupt:
        keep = False
        raise
    finally:
        started.close()
        server.close()
        if keep:
            print(f"logs and ledger are in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)
    print(f"{replicas} replicas of {concurrency} slots: {EACH} trees, {struck} mishaps")
    return EACH


if __name__ == "__main__":
    sys.exit(stoppable("trees", main))
