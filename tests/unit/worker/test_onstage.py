"""The board shows whose code runs, and the coroutine notices nothing."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from reuse_queue.board import Board
from reuse_worker.onstage import onstage


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.create(2)
    yield made
    made.close()


@dataclass
class Shown:
    slot: int


def seen(board: Board) -> str | None:
    slot = board.onstage()
    return slot.execution if slot else None


async def test_the_board_shows_whose_code_runs_and_nobody_while_all_wait(board: Board):
    order: list[tuple[str, str | None]] = []

    async def job(name: str) -> str:
        for _ in range(2):
            order.append((name, seen(board)))
            await asyncio.sleep(0)
        return name

    async def watch() -> None:
        order.append(("nobody", seen(board)))

    numbers = {name: board.put(name, None) for name in "ab"}
    jobs = [onstage(job(name), board, Shown(number)) for name, number in numbers.items()]
    ended = await asyncio.gather(*jobs, watch())
    assert ended == ["a", "b", None]
    assert sorted(order) == [("a", "a"), ("a", "a"), ("b", "b"), ("b", "b"), ("nobody", None)]
    assert seen(board) is None


async def test_errors_pass_and_leave_nobody_onstage(board: Board):
    async def job() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await onstage(job(), board, Shown(board.put("a", None)))
    assert seen(board) is None


async def test_a_cancellation_reaches_the_coroutine_which_may_refuse_it(board: Board):
    began = asyncio.Event()
    ended: list[str | None] = []

    async def job() -> str:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(seen(board))
        await asyncio.sleep(0)
        return "stayed"

    async def run() -> str:
        return await onstage(job(), board, Shown(board.put("a", None)))

    task = asyncio.create_task(run())
    await began.wait()
    task.cancel()
    assert await task == "stayed"
    assert ended == ["a"]
