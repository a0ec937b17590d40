"""Jitter, and whose random numbers it takes."""

import random
from datetime import timedelta

import pytest

from reuse_queue import RedisUnavailable, Settings
from reuse_queue.broker.connection import Connection, Step, command
from reuse_queue.jitter import spread


def test_a_wait_is_spread_between_its_bounds():
    waits = [spread(4.0, 0.5, 1.5) for _ in range(200)]
    assert all(2.0 <= wait <= 6.0 for wait in waits)
    assert len(set(waits)) > 100


def test_who_waits_for_redis_leaves_the_application_its_random_numbers():
    connection = Connection(Settings(redis_url="redis://localhost:1"))

    def ping() -> Step[None]:
        yield command("PING")

    random.seed(7)
    before = random.getstate()
    with pytest.raises(RedisUnavailable):
        connection.run(ping(), patience=timedelta(seconds=0.2))
    assert random.getstate() == before
