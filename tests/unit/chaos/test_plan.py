"""A seed gives the same plan every time."""

import random
from collections.abc import Iterator

from chaos.faults import Fault
from chaos.plan import drawn


def test_a_seed_has_one_plan_whatever_else_is_drawn():
    plan = drawn(7, 600, 8.0)
    random.random()
    assert drawn(7, 600, 8.0) == plan
    assert drawn(8, 600, 8.0) != plan


def test_a_longer_run_of_a_seed_begins_with_the_faults_of_a_shorter_one():
    plan = drawn(7, 60, 8.0)
    assert len(plan) > 5
    assert drawn(7, 600, 8.0)[: len(plan)] == plan


def test_half_an_hour_has_every_fault_there_is():

    known = set(leaves(Fault))
    for seed in range(10):
        assert {type(each.fault) for each in drawn(seed, 1800, 8.0)} == known


def leaves(kind: type[Fault]) -> Iterator[type[Fault]]:
    for each in kind.__subclasses__():
        yield each
        yield from leaves(each)
