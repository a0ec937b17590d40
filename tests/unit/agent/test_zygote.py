"""The agent's end of a zygote, whose own end the test plays."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from reuse_agent import zygote
from reuse_agent.zygote import NotStarted, Zygote
from reuse_queue.facts import EnvironmentRecord
from reuse_queue.messages import Fork, Forked, Loaded, receive, send
from reuse_queue.settings import Settings

LIMIT_S = 0.5


class Played:
    """In place of `Processes`: what it starts is a zygote that does what the test does."""

    def __init__(self) -> None:
        self.end: socket.socket
        self.killed = False

    def spawn(self, _words: Any, _env: Any, fds: list[int], _ended: Any) -> Any:
        self.end = socket.socket(fileno=socket.dup(fds[0]))
        return SimpleNamespace(pid=1, kill=self._kill)

    def adopt(self, pid: int, _ended: Any) -> Any:
        return SimpleNamespace(pid=pid, kill=lambda: None)

    @contextmanager
    def expecting(self) -> Iterator[None]:
        yield

    async def asked(self) -> str:
        """Return the replica that it is to fork, once it is."""
        message, _ = await asyncio.to_thread(receive, self.end)
        assert isinstance(message, Fork)
        return message.replica

    def answer(self, replica: str, pid: int = 7) -> None:
        send(self.end, Forked(replica=replica, pid=pid))

    def _kill(self) -> None:
        self.killed = True


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    monkeypatch.setattr(zygote, "FORKS_WITHIN_S", LIMIT_S)
    made = Played()
    yield made
    made.end.close()


@pytest.fixture
async def loaded(played: Played) -> AsyncIterator[Zygote]:
    made = Zygote("app:env", played, Settings())  # type: ignore[arg-type]
    said = Loaded(record=EnvironmentRecord(name="e"), version="1", start_method="fork")
    send(played.end, said)
    assert await made.load() == said
    yield made
    asyncio.get_running_loop().remove_reader(made._channel)
    made._channel.close()


async def test_an_answer_counts_that_came_while_the_agent_stood_still(
    loaded: Zygote, played: Played
):
    fork = asyncio.ensure_future(loaded.replica("r", 0, 1, print))
    played.answer(await played.asked())
    time.sleep(1.2 * LIMIT_S)  # noqa: ASYNC251  # nothing else runs in this process meanwhile
    assert (await fork).pid == 7
    assert not played.killed


async def test_one_that_is_asked_for_several_has_the_time_for_each(loaded: Zygote, played: Played):
    forks = [asyncio.ensure_future(loaded.replica(str(n), 0, 1, print)) for n in range(3)]
    for number in range(3):
        replica = await played.asked()
        await asyncio.sleep(LIMIT_S / 2)
        played.answer(replica, pid=10 + number)
    assert [(await fork).pid for fork in forks] == [10, 11, 12]
    assert not played.killed


async def test_one_that_does_not_answer_is_killed(loaded: Zygote, played: Played):
    with pytest.raises(NotStarted, match="not forked within"):
        await loaded.replica("r", 0, 1, print)
    assert played.killed
