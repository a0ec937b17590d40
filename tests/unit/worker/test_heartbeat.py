import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import cast

import pytest

from reuse_queue.board import Board
from reuse_queue.broker.fleet import Beat
from reuse_queue.errors import LeaseLost, RedisUnavailable
from reuse_queue.facts import ReplicaState
from reuse_queue.settings import Settings
from reuse_worker.heartbeat import Heartbeat
from reuse_worker.life import Life
from reuse_worker.steps import Steps
from reuse_worker.tenure import Tenure
from support.eventually import eventually

READY = Beat(state=ReplicaState.READY)
boards: list[Board] = []
LEASE_S = 0.6


class Server:
    """Answers beats as a test says."""

    def __init__(self, answer: Callable[[int], Awaitable[Beat]]) -> None:
        self.settings = Settings(
            lease=timedelta(seconds=LEASE_S), heartbeat=timedelta(seconds=LEASE_S / 10)
        )
        self.beats = self.refreshed = 0
        self._answer = answer

    async def beat(self) -> Beat:
        self.beats += 1
        return await self._answer(self.beats)

    async def refresh(self) -> None:
        self.refreshed += 1


@pytest.fixture(autouse=True)
def board() -> Iterator[Board]:
    made = Board.create(1)
    boards[:] = [made]
    yield made
    made.close()


def heart(server: Server, life: Life | None = None, canceled: list[str] | None = None) -> Heartbeat:
    heard = [] if canceled is None else canceled
    tenure, [board] = Tenure(server.settings.lease), boards
    return Heartbeat(
        cast("Steps", server), life or Life(), tenure, board, heard.append, heard.append
    )


async def test_without_an_answer_the_replica_is_fenced_after_two_thirds_of_its_lease():
    async def away(number: int) -> Beat:
        raise RedisUnavailable

    server, began = Server(away), time.monotonic()
    with pytest.raises(LeaseLost):
        await heart(server).run()
    assert time.monotonic() - began > LEASE_S * 2 / 3
    assert server.beats > 1


async def test_whoever_waits_over_an_older_connection_is_let_go_once_redis_is_back():
    async def at_first(number: int) -> Beat:
        if number == 1:
            raise RedisUnavailable
        return READY

    server = Server(at_first)
    beating = asyncio.create_task(heart(server).run())
    await eventually(lambda: server.beats > 2)
    beating.cancel()
    assert server.refreshed == 1


async def test_a_server_that_does_not_answer_is_away_too():
    async def hang(number: int) -> Beat:
        await asyncio.Event().wait()
        return READY

    with pytest.raises(LeaseLost):
        await heart(Server(hang)).run()


async def test_a_beat_that_was_late_because_the_loop_was_blocked_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("reuse_worker.heartbeat._STALL_S", 0.1)

    async def blocked(number: int) -> Beat:
        if number < 4:
            time.sleep(LEASE_S / 2)  # noqa: ASYNC251  # a task that blocks the loop
            await asyncio.Event().wait()
        return READY

    server = Server(blocked)
    beating = asyncio.ensure_future(heart(server).run())
    await eventually(lambda: server.beats > 4)
    assert not beating.done()
    beating.cancel()
    await asyncio.wait([beating])


async def test_what_the_agent_renewed_while_the_loop_was_blocked_is_not_given_up_in_a_short_absence(
    board: Board,
):
    async def blocked_then_away(number: int) -> Beat:
        if number == 2:
            time.sleep(LEASE_S)  # noqa: ASYNC251  # a task that blocks the loop
            board.renew(time.monotonic())
        if 1 < number < 5:
            raise RedisUnavailable
        return READY

    server = Server(blocked_then_away)
    beating = asyncio.ensure_future(heart(server).run())
    await eventually(lambda: server.beats > 5 or beating.done())
    assert not beating.done()
    beating.cancel()
    await asyncio.wait([beating])


async def test_a_replica_that_only_its_agent_renews_is_fenced(board: Board):
    async def away(number: int) -> Beat:
        board.renew(time.monotonic())
        raise RedisUnavailable

    with pytest.raises(LeaseLost):
        await asyncio.wait_for(heart(Server(away)).run(), 20)


async def test_an_answer_in_time_starts_the_count_anew():
    async def flapping(number: int) -> Beat:
        if number % 3:
            raise RedisUnavailable
        return READY

    server = Server(flapping)
    beating = asyncio.ensure_future(heart(server).run())
    await asyncio.wait([beating], timeout=LEASE_S)
    assert not beating.done()
    beating.cancel()
    await asyncio.wait([beating])


async def test_orders_are_obeyed():
    answers = [
        Beat(state=ReplicaState.DRAINING, cancel=("a", "b")),
        Beat(state=ReplicaState.DRAINING, stop_grace_over=True),
        Beat(state=None),
    ]
    life = Life()
    canceled: list[str] = []

    async def next_answer(number: int) -> Beat:
        return answers[number - 1]

    with pytest.raises(LeaseLost, match="off the books"):
        await heart(Server(next_answer), life, canceled).run()
    assert canceled == ["a", "b"]
    assert life.draining
    assert life.grace_over


async def test_renewed_waits_for_a_beat_that_was_sent_afterwards():
    sent: list[asyncio.Future[Beat]] = []

    async def when_told(number: int) -> Beat:
        sent.append(asyncio.get_running_loop().create_future())
        return await sent[-1]

    made = heart(Server(when_told))
    async with asyncio.TaskGroup() as group:
        beating = group.create_task(made.run())
        await eventually(lambda: sent)
        renewed = group.create_task(made.renewed())
        await asyncio.sleep(0)
        sent[0].set_result(READY)
        while len(sent) < 2:
            assert not renewed.done()
            await asyncio.sleep(0)
        sent[1].set_result(READY)
        await renewed
        beating.cancel()


async def test_a_lease_is_sure_until_it_may_have_run_out_and_then_only_after_another_beat():
    async def ready(number: int) -> Beat:
        return READY

    server = Server(ready)
    beating = heart(server)
    await asyncio.wait_for(beating.sure(), 1)
    assert server.beats == 0

    # As a process does that is stopped, together with its clock's owner.
    time.sleep(LEASE_S * 1.5)  # noqa: ASYNC251
    asking = asyncio.create_task(beating.sure())
    await asyncio.sleep(0)
    assert not asking.done()
    running = asyncio.create_task(beating.run())
    await asyncio.wait_for(asking, 5)
    assert server.beats > 0
    running.cancel()
