from datetime import timedelta

import pytest
import redis

from reuse_queue.broker.connection import Connection, Step, call, command, shown_url
from reuse_queue.errors import InvalidSettings, RedisUnavailable
from reuse_queue.settings import Settings


def ping() -> Step[bytes]:
    reply: bytes = yield command("PING")
    return reply


def many() -> Step[list[bytes]]:
    replies: list[bytes] = yield [command("ECHO", "a"), command("ECHO", "b")]
    return replies


def test_a_step_runs_with_the_blocking_client(connection: Connection):
    assert connection.run(ping()) == b"PONG"
    assert connection.run(many()) == [b"a", b"b"]


async def test_the_same_step_runs_with_the_asynchronous_client(connection: Connection):
    assert await connection.arun(ping()) == b"PONG"
    assert await connection.arun(many()) == [b"a", b"b"]
    await connection.aclose()


def test_a_redis_that_is_not_there_is_named_without_its_password():
    away = Connection(Settings(redis_url="redis://me:secret@localhost:1/0"))
    with pytest.raises(RedisUnavailable, match=r"redis://me:\*\*\*@localhost:1/0") as caught:
        away.run(ping(), patience=timedelta(seconds=0.1))
    assert "secret" not in str(caught.value)


def test_a_url_of_another_kind_is_refused():
    with pytest.raises(InvalidSettings, match="redis://"):
        Connection(Settings(redis_url="http://localhost"))


def test_a_shown_url_keeps_what_is_no_secret():
    assert shown_url("unix:///tmp/x.sock?db=0") == "unix:///tmp/x.sock?db=0"
