import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from reuse_agent.renewal import Renewal
from reuse_agent.supervisor import Supervisor
from reuse_queue.board import Board
from reuse_queue.broker.connection import Connection
from reuse_queue.settings import Settings


async def test_each_board_shows_when_its_lease_was_renewed_but_not_where_it_was_lost():
    boards = {name: Board.create(1) for name in ("kept", "lost")}
    supervisor = Supervisor(cast("Any", None), cast("Any", None))
    for name, board in boards.items():
        replica = SimpleNamespace(environment="env")
        charge = SimpleNamespace(board=board, replica=replica, process=None)
        supervisor._charges[name] = cast("Any", charge)
    answered = asyncio.Event()

    async def ask(_: Callable[[], Any], **__: Any) -> list[bool]:
        answered.set()
        return [True, False]

    settings = Settings()
    link = SimpleNamespace(ask=ask, settings=settings, connection=Connection(settings))
    began = time.monotonic()
    renewing = asyncio.create_task(Renewal(cast("Any", link), supervisor).run())
    await answered.wait()
    await asyncio.sleep(0)
    renewing.cancel()
    assert began <= boards["kept"].renewed <= time.monotonic()
    assert boards["lost"].renewed == 0
    for board in boards.values():
        board.close()
