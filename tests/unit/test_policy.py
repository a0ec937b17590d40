"""What is ours of the policy; that the rest is flyte's is tested in compat."""

import warnings
from datetime import timedelta

import pytest

from reuse_queue import ReusePolicy, StarvationWarning


def test_numbers_are_normalised():
    policy = ReusePolicy(replicas=(1, 10), idle_ttl=300, concurrency=5, scaledown_ttl=600)
    assert (policy.min_replicas, policy.max_replicas) == (1, 10)
    assert policy.get_idle_ttl() == timedelta(minutes=5)
    assert policy.get_scaledown_ttl() == timedelta(minutes=10)
    assert ReusePolicy(replicas=3).replicas == (3, 3)


def test_the_warning_of_starvation_points_at_the_line_that_made_the_policy():
    with pytest.warns(StarvationWarning) as caught:
        ReusePolicy(replicas=(0, 1))
    assert caught[0].filename == __file__


def test_one_replica_with_room_for_two_starves_nobody():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ReusePolicy(replicas=1, concurrency=2)
        ReusePolicy(replicas=(0, 2))
