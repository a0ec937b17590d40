"""Random trees of jobs that call jobs, on real fleets, with replicas killed in the middle."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings

from support.call_graphs import Node
from support.fleet_processes import FleetProcesses
from trees.proof import Mishap, Proof, mishaps, trees

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::reuse_queue.policy.StarvationWarning"),
]
# Nothing is made smaller: the same tree meets its mishap at another moment each time.
PROFILE = hypothesis_settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(("replicas", "concurrency"), [(1, 1), (2, 7), (3, 2)])
def test_a_tree_of_jobs_loses_nothing_and_repeats_nothing_that_had_ended(
    fleet: FleetProcesses, replicas: int, concurrency: int
):
    proof = Proof(fleet, replicas=replicas, concurrency=concurrency)

    @PROFILE
    @given(trees(), mishaps("kill", "drain"))
    def check(tree: Node, troubles: Sequence[Mishap]) -> None:
        proof.check(tree, troubles)

    check()
    proof.close()
