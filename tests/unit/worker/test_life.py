import asyncio

import pytest

from reuse_worker.life import Life


async def test_a_drain_can_be_called_off_but_a_stop_cannot():
    life = Life()
    life.drain()
    life.undrain()
    assert not life.draining
    life.stop(60)
    life.undrain()
    assert life.draining


async def test_a_second_stop_ends_the_grace():
    life = Life()
    life.stop(60)
    assert not life.grace_over
    life.stop(60)
    assert life.grace_over


async def test_the_grace_ends_by_itself():
    life = Life()
    life.stop(0.01)
    async with asyncio.timeout(5):
        await life.wait_for(lambda: life.grace_over)


async def test_what_is_done_unless_draining_ends_when_the_drain_begins():
    life = Life()
    undone = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            undone.set()

    async with asyncio.TaskGroup() as group:
        doing = group.create_task(life.unless(lambda: life.draining, wait()))
        await asyncio.sleep(0)
        life.drain()
    assert doing.result() is None
    assert undone.is_set()


async def test_what_is_done_unless_draining_is_not_begun_by_one_who_drains():
    life = Life()
    life.drain()

    async def never() -> int:
        raise AssertionError("begun")

    assert await life.unless(lambda: life.draining, never()) is None


async def test_a_timeout_of_what_is_done_is_passed_on():
    life = Life()

    async def late() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await life.unless(lambda: life.draining, late())
