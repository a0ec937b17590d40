"""A seed gives the same plan every time."""

import random

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
