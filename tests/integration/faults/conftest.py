"""What the tests of faults share with those of the worker and of the broker."""

import pytest
import redis

from integration.worker.conftest import Lab
from reuse_queue.broker.connection import Connection
from reuse_queue.settings import Settings
from support.site import Site


@pytest.fixture
def lab(raw: redis.Redis, settings: Settings) -> Lab:
    return Lab(raw, settings)


@pytest.fixture
def site(connection: Connection, raw: redis.Redis) -> Site:
    return Site(connection, raw)
