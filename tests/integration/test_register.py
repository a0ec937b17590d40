"""An agent's record of its host."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from reuse_agent.link import Link
from reuse_agent.register import Register
from reuse_queue.broker.connection import Connection


async def test_a_record_that_is_being_written_while_its_agent_leaves_does_not_stay(
    aconnection: Connection, monkeypatch: pytest.MonkeyPatch
):
    link = Link(aconnection)
    register = Register(link, [], 4)
    await register.take_name()
    assert [host.name for host in await link.ask(link.fleet.hosts)] == ["testhost"]
    ask, asked, may_go_on = link.ask, asyncio.Event(), asyncio.Event()

    async def late(make: Callable[[], Any], *, refusals: int | None = None) -> Any:
        asked.set()
        await may_go_on.wait()
        return await ask(make, refusals=refusals)

    with monkeypatch.context() as patched:
        patched.setattr(link, "ask", late)
        writing = asyncio.create_task(register.write())
        await asked.wait()
    leaving = asyncio.create_task(register.leave())
    await asyncio.wait([leaving], timeout=0.1)
    may_go_on.set()
    await asyncio.gather(writing, leaving)
    await register.write()

    assert await link.ask(link.fleet.hosts) == []
