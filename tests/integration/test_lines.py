"""Connections that stay ready: what they bear, and that no reply goes to another's request."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from reuse_queue.broker.connection import Connection, Step, Value, command
from reuse_queue.broker.lines import MOST_AT_ONCE, AsyncLines, Lines, Words
from reuse_queue.errors import RedisUnavailable
from reuse_queue.settings import Settings
from support.eventually import eventually, eventually_sync


def test_a_refusal_among_many_is_its_own_reply_alone(raw: redis.Redis):
    lines = Lines(raw)
    raw.set("text", "x")

    first, refused, last = lines.exchange([("GET", "text"), ("INCR", "text"), ("GET", "text")])

    assert (first, last) == (b"x", b"x")
    assert isinstance(refused, redis.ResponseError)


def test_a_line_that_the_server_hung_up_connects_anew(raw: redis.Redis, connection: Connection):
    name = connection.run(command_of("CLIENT", "ID"))
    raw.client_kill_filter(_id=str(name))
    eventually_sync(lambda: str(name) not in _ids(raw), what="hung up")

    assert connection.run(command_of("PING")) is True


async def test_a_loops_line_that_the_server_hung_up_connects_anew(
    raw: redis.Redis, aconnection: Connection
):
    name = await aconnection.arun(command_of("CLIENT", "ID"))
    raw.client_kill_filter(_id=str(name))
    # On a thread: the loop gets its turn to see the end of the stream.
    await asyncio.to_thread(eventually_sync, lambda: str(name) not in _ids(raw), what="hung up")

    assert await aconnection.arun(command_of("PING")) is True


async def test_the_reply_to_a_canceled_request_goes_to_nobody(
    raw: redis.Redis, aconnection: Connection
):
    waits = asyncio.create_task(aconnection.arun(command_of("BLPOP", "list", 5)))
    await eventually(lambda: raw.info("clients")["blocked_clients"] == 1, what="it waits")
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    raw.rpush("list", "late")

    assert await aconnection.arun(command_of("ECHO", "mine")) == b"mine"


async def test_of_very_many_requests_at_once_none_is_refused_a_connection(
    raw: redis.Redis, aconnection: Connection
):
    before = raw.info("clients")["connected_clients"]
    texts = [str(number).encode() for number in range(500)]
    echoes = [aconnection.arun(command_of("ECHO", text)) for text in texts]
    assert await asyncio.gather(*echoes) == texts
    assert raw.info("clients")["connected_clients"] <= before + MOST_AT_ONCE


def test_however_many_threads_wait_each_has_a_connection(raw: redis.Redis, connection: Connection):
    with ThreadPoolExecutor(120) as pool:
        waits = [
            pool.submit(connection.run, command_of("BLPOP", f"list{n}", 5)) for n in range(120)
        ]
        eventually_sync(lambda: raw.info("clients")["blocked_clients"] == 120, what="all wait")
        for n in range(120):
            raw.rpush(f"list{n}", n)
        assert [int(wait.result()[1]) for wait in waits] == list(range(120))


def test_threads_get_each_the_reply_to_their_own(connection: Connection):
    with ThreadPoolExecutor(8) as pool:
        texts = [str(number).encode() for number in range(400)]
        echoed = list(pool.map(lambda text: connection.run(command_of("ECHO", text)), texts))
    assert echoed == texts


async def test_requests_of_one_loop_get_each_the_reply_to_their_own(aconnection: Connection):
    texts = [str(number).encode() for number in range(100)]
    asked = (aconnection.arun(command_of("ECHO", text)) for text in texts)
    assert await asyncio.gather(*asked) == texts


def test_lines_are_reused(raw: redis.Redis, settings: Settings):
    connection = Connection(settings)
    names = {connection.run(command_of("CLIENT", "ID")) for _ in range(5)}
    connection.close()
    assert len(names) == 1
    eventually_sync(lambda: not {str(name) for name in names} & _ids(raw), what="closed")


async def test_a_loops_lines_are_reused(aconnection: Connection):
    names = [await aconnection.arun(command_of("CLIENT", "ID")) for _ in range(5)]
    assert len(set(names)) == 1


async def test_lines_of_both_kinds_say_the_same(raw: redis.Redis, settings: Settings):
    raw.hset("hash", mapping={"a": "1"})
    asked: list[Words] = [("HGETALL", "hash"), ("PING",), ("EXISTS", "hash"), ("GET", "none")]
    client = redis.asyncio.Redis.from_url(settings.redis_url)
    try:
        assert await AsyncLines(client).exchange(asked) == Lines(raw).exchange(asked)
    finally:
        await client.aclose()


# -------------------------------------------------------------------------------------------


def command_of(*words: Value) -> Step[Any]:
    return (yield command(*words))


def _ids(raw: redis.Redis) -> set[str]:
    return {str(each["id"]) for each in raw.client_list()}


def test_a_line_that_fails_as_it_is_made_while_all_are_closed_is_not_left_open(
    raw: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    client = redis.Redis.from_url(settings.redis_url)
    lines, pool = Lines(client), client.connection_pool

    def hung_up(*_: object) -> bool:
        if not lines._closed.is_set():
            lines.close()
            client.close()
        raise redis.ConnectionError("the server has hung up")

    before = _ids(raw)
    monkeypatch.setattr(pool.connection_class, "can_read", hung_up)
    with pytest.raises(RedisUnavailable):
        lines.exchange([("PING",)])
    monkeypatch.undo()
    eventually_sync(lambda: _ids(raw) <= before, what="it is closed")
