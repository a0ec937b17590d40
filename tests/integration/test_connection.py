import asyncio
import os
import time
from datetime import timedelta

import pytest
import redis

from reuse_queue.broker.connection import Connection, Step, command
from reuse_queue.errors import RedisUnavailable, ResultTimeout
from reuse_queue.settings import Settings
from support.eventually import eventually_sync
from support.server import RedisServer, programs


def ping() -> Step[bool]:
    reply: bool = yield command("PING")
    return reply


def many() -> Step[list[bytes]]:
    replies: list[bytes] = yield [command("ECHO", "a"), command("ECHO", "b")]
    return replies


def test_a_step_runs_with_the_blocking_client(connection: Connection):
    assert connection.run(ping()) is True
    assert connection.run(many()) == [b"a", b"b"]


async def test_the_same_step_runs_with_the_asynchronous_client(aconnection: Connection):
    assert await aconnection.arun(ping()) is True
    assert await aconnection.arun(many()) == [b"a", b"b"]


def test_a_redis_that_is_not_there_is_named_without_its_password():
    away = Connection(Settings(redis_url="redis://me:secret@localhost:1/0"))
    with pytest.raises(RedisUnavailable, match=r"redis://me:\*\*\*@localhost:1/0") as caught:
        away.run(ping(), patience=timedelta(seconds=0.1))
    assert "secret" not in str(caught.value)


def test_where_nobody_named_a_redis_it_says_how_to(monkeypatch: pytest.MonkeyPatch):
    nowhere = "redis://localhost:1/0"
    monkeypatch.setattr("reuse_queue.broker.connection.DEFAULT_REDIS_URL", nowhere)
    with pytest.raises(RedisUnavailable, match="set REUSE_QUEUE_REDIS_URL, or start one with"):
        Connection(Settings(redis_url=nowhere)).run(ping())


async def test_sentinels_that_cannot_be_asked_are_said_to_be_just_that():
    url = "rediss+sentinel://:secret@localhost:1,localhost:2/main/0"
    away = Connection(Settings(redis_url=url))
    with pytest.raises(RedisUnavailable) as blocking:
        away.run(ping())
    with pytest.raises(RedisUnavailable) as other:
        await away.arun(ping())
    assert str(blocking.value) == str(other.value)
    text = str(blocking.value)
    assert "none of its sentinels that answers names its primary (not all answer)" in text
    assert "do you trust their certificate" in text
    assert "secret" not in text
    assert len(text) < 400
    await away.aclose()


@pytest.mark.parametrize("protocol", ["", "&protocol=2"])
def test_a_redis_that_wants_a_password_is_said_to(protocol: str):
    server = RedisServer(next(iter(programs().values())))
    try:
        with server.client() as raw:
            raw.config_set("requirepass", "secret")
        with pytest.raises(RedisUnavailable, match="it wants a password, as in redis://:PASSWORD@"):
            Connection(Settings(redis_url=server.url + protocol)).run(ping())
    finally:
        server.close()


def gives_up() -> Step[None]:
    yield command("PING")
    raise ResultTimeout


def test_an_error_of_ours_that_is_a_timeout_too_is_not_taken_for_an_absent_redis(
    connection: Connection,
):
    with pytest.raises(ResultTimeout):
        connection.run(gives_up())


async def test_a_subscription_is_in_force_and_silent_when_it_is_yielded(
    aconnection: Connection, raw: redis.Redis
):
    async with aconnection.listen("one", "two") as messages:
        assert raw.publish("two", "news") == 1
        heard = await messages.get_message(timeout=5)
        assert heard is not None
        assert heard["data"] == b"news"


def waits_then_asks(server: RedisServer, wait_s: float) -> Step[object]:
    yield command("PING")
    time.sleep(wait_s)
    server.kill()
    return (yield command("PING"))


def test_patience_counts_from_the_first_failure_not_from_the_start_of_the_step():
    server = RedisServer(next(iter(programs().values())))
    made = Connection(Settings(redis_url=server.url))
    patience_s = 0.5
    began = time.monotonic()
    try:
        with pytest.raises(RedisUnavailable):
            made.run(waits_then_asks(server, patience_s), patience=timedelta(seconds=patience_s))
        assert time.monotonic() - began >= 2 * patience_s
    finally:
        made.close()
        server.close()


def client_id() -> Step[int]:
    reply: int = yield command("CLIENT", "ID")
    return reply


def test_a_loop_that_ends_leaves_no_connection_open(connection: Connection, raw: redis.Redis):
    before = {each["id"] for each in raw.client_list()}
    asyncio.run(connection.arun(client_id()))
    eventually_sync(lambda: {each["id"] for each in raw.client_list()} <= before)


def test_loops_that_take_turns_keep_their_connections(connection: Connection):
    with asyncio.Runner() as one, asyncio.Runner() as two:
        seen = [each.run(connection.arun(client_id())) for each in (one, two, one, two)]
    assert seen[:2] == seen[2:]
    assert seen[0] != seen[1]


async def test_a_forked_child_leaves_its_parents_loop_hearing(aconnection: Connection):
    assert await aconnection.arun(ping()) is True
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if aconnection.run(ping()) else 1)
        finally:
            os._exit(2)
    assert await asyncio.to_thread(os.waitpid, child, 0) == (child, 0)
    assert await aconnection.arun(ping()) is True
