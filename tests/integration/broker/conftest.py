import pytest
import redis

from reuse_queue.broker.connection import Connection
from support.site import Site


@pytest.fixture
def site(connection: Connection, raw: redis.Redis) -> Site:
    """An environment with one ready replica, r1."""
    made = Site(connection, raw)
    made.replica("r1")
    return made
