"""A seed gives the same plan every time."""

import random
from collections.abc import Iterator

import pytest

from chaos.faults import Fault
from chaos.faults.sentinels import FailOver
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


@pytest.mark.parametrize("sentinels", [False, True])
def test_half_an_hour_has_every_fault_there_is(sentinels: bool):
    plans = [drawn(seed, 1800, 8.0, sentinels=sentinels) for seed in range(10)]
    found = [{type(each.fault) for each in plan} for plan in plans]
    assert all(each == found[0] for each in found)
    assert (FailOver in found[0]) is sentinels


def test_every_fault_is_in_some_plan():
    plans = [drawn(1, 1800, 8.0, sentinels=sentinels) for sentinels in (False, True)]
    assert {type(each.fault) for plan in plans for each in plan} == set(kinds_of(Fault))


def kinds_of(kind: type[Fault]) -> Iterator[type[Fault]]:
    for each in kind.__subclasses__():
        yield each
        yield from kinds_of(each)
