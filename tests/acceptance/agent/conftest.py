"""Fixtures: an agent's lab, with short times."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from reuse_queue.broker.connection import Connection
from reuse_queue.settings import Settings
from support.lab import Lab
from support.server import RedisServer


@pytest.fixture
def settings(redis_server: RedisServer, raw: redis.Redis) -> Settings:
    return Settings(
        redis_url=redis_server.url,
        host="testhost",
        lease=timedelta(seconds=6),
        drain_grace=timedelta(seconds=5),
        kill_grace=timedelta(seconds=0.3),
    )


@pytest.fixture
async def lab(aconnection: Connection, tmp_path: Path) -> AsyncIterator[Lab]:
    made = Lab(aconnection, tmp_path)
    made.write()
    yield made
    await made.close()
