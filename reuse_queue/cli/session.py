"""One `run`: a scaler, an agent and perhaps a command, from their start to their end."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from textwrap import shorten
from typing import Any

from reuse_queue.cli.access import Access
from reuse_queue.cli.children import Child, UserCommand
from reuse_queue.cli.edge import ExitCode
from reuse_queue.cli.seen import Pace, Seen, look
from reuse_queue.cli.views import View
from reuse_queue.cli.words import plural
from reuse_queue.embedded import EmbeddedRedis, last_lines
from reuse_queue.errors import NewerFormat, RedisRefused, RedisUnavailable

_FRAME_S, _POLL_S = 0.5, 0.1
_COMMAND_GRACE_S, _FORCE_GRACE_S = 5.0, 5.0
_DECISIONS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What one `run` is to do."""

    targets: tuple[str, ...]
    folder: Path
    max_replicas: int | None = None
    command: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a run ends: its exit code, and what there is to say about it."""

    code: int
    message: str = ""


class Session:
    """Start everything, show it until something ends, then stop everything in order."""

    def __init__(
        self, plan: Plan, access: Access, server: EmbeddedRedis | None, view: View
    ) -> None:
        self._plan = plan
        self._access = access
        self._server = server
        self._view = view
        # A URL may hold a password: it goes by the environment, which only this user can read.
        self._environ = {"REUSE_QUEUE_REDIS_URL": access.settings.redis_url}
        self._started = time.monotonic()
        self._status = "starting"
        self._seen: Seen | None = None
        self._pace = Pace()
        self._drawing = asyncio.Lock()
        self._signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._children: list[Child] = []
        self._command: UserCommand | None = None

    async def run(self) -> Ending:
        """Run until the command ends, a signal comes or a part dies; return how it ended."""
        async with self._listening(), _beside(self._show()):
            try:
                return await self._until_end()
            finally:
                # Even after an error: what was started must not outlive this.
                await self._stop_everything()

    def left_over(self) -> str:
        """Return what was left when it ended, in words."""
        found = self._seen.environments if self._seen else ()
        jobs = sum(each.backlog + each.claimed + each.scheduled for each in found)
        return f"stopped, {plural(jobs, 'job')} still queued" if jobs else "stopped"

    # -- from start to end ------------------------------------------------------------------

    async def _until_end(self) -> Ending:
        before = {each.agent for each in await self._hosts()}
        self._children.append(await self._start("scaler", "reuse_queue", "scaler"))
        most = self._plan.max_replicas
        limit = [] if most is None else ["--max-replicas", str(most)]
        words = ["reuse_agent", "--strict", *limit, *self._plan.targets]
        self._children.append(await self._start("agent", *words))
        ending = await self._first(self._announced(before))
        if ending is not None:
            return ending
        if not self._plan.command:
            self._status = "Ctrl-C stops"
            return await self._first(asyncio.Event().wait()) or Ending(ExitCode.OK)
        self._status = "runs " + shorten(shlex.join(self._plan.command), 70, placeholder=" …")
        return await self._first(self._run_command()) or Ending(await self._command_code())

    async def _first(self, awaited: Coroutine[Any, Any, object]) -> Ending | None:
        """Return None when `awaited` is done, or why the run must end before that."""
        watches: list[Coroutine[Any, Any, Ending]] = [
            self._signaled(),
            *(self._died(child) for child in self._children),
        ]
        if self._server is not None:
            watches.append(self._lost(self._server))
        tasks = [asyncio.ensure_future(each) for each in (awaited, *watches)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0] in done:
                tasks[0].result()
                return None
            return next(task.result() for task in tasks[1:] if task in done)  # type: ignore[return-value]  # only the first is no Ending
        finally:
            await _ended(tasks)

    async def _start(self, name: str, *words: str) -> Child:
        return await Child.start(name, words, self._environ, self._plan.folder)

    async def _announced(self, before: set[str]) -> None:
        """Wait until our agent, a new one, offers the environments."""
        name = self._access.settings.host
        while True:
            for host in await self._hosts():
                if host.name == name and host.agent not in before and host.offers:
                    return
            await asyncio.sleep(_POLL_S)

    async def _run_command(self) -> None:
        relays = self._view.relays
        # What comes through a pipe is to be seen at once all the same.
        environ = self._environ | ({"PYTHONUNBUFFERED": "1"} if relays else {})
        self._command = await UserCommand.start(self._plan.command, environ, relayed=relays)
        async with asyncio.TaskGroup() as group:
            for stream in self._command.streams:
                group.create_task(self._relay(stream))
            group.create_task(self._command.wait())

    async def _relay(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            self._view.output(line.decode("utf-8", "replace").rstrip("\r\n"))

    async def _command_code(self) -> int:
        return await self._command.wait() if self._command else int(ExitCode.OK)

    # -- what can end a run -----------------------------------------------------------------

    async def _signaled(self) -> Ending:
        number = await self._signals.get()
        if self._command is None:
            return Ending(ExitCode.OK)
        # Ctrl-C came to the command too, and it may have things to put in order.
        if number is signal.SIGINT:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_COMMAND_GRACE_S):
                    return Ending(await self._command.wait())
        self._command.end(signal.SIGTERM)
        return Ending(128 + number)

    async def _died(self, child: Child) -> Ending:
        code = await child.wait()
        wrong = ExitCode.USAGE if code == ExitCode.USAGE else ExitCode.FAILED
        return Ending(wrong, child.story())

    async def _lost(self, server: EmbeddedRedis) -> Ending:
        while True:
            if not server.running:
                tail = last_lines(server.log, 15)
                text = f"the Redis server ended; {server.log} ends with:\n{tail}"
                return Ending(ExitCode.FAILED, text)
            await asyncio.sleep(_POLL_S)

    # -- stopping ---------------------------------------------------------------------------

    async def _stop_everything(self) -> None:
        alive = all(child.code is None for child in self._children)
        rest = ": replicas finish their jobs (Ctrl-C again stops at once)" if alive else ""
        self._status = f"stopping{rest}"
        await self._show_once()
        async with _beside(self._force()):
            if self._command is not None:
                self._command.end(signal.SIGTERM)
                await self._command.wait()
            # The agent first: its replicas finish what they hold, and the scaler takes note.
            for child in reversed(self._children):
                await child.stop()
        for child in self._children:
            # What a killed agent left behind is in its group.
            child.kill()
        await self._show_once()

    async def _force(self) -> None:
        await self._signals.get()
        self._status = "stopping at once"
        if self._command is not None:
            self._command.end(signal.SIGKILL)
        for child in self._children:
            # A second SIGTERM: an agent gives running jobs back and does not wait for them.
            child.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FORCE_GRACE_S):
                await self._signals.get()
        for child in self._children:
            child.kill()

    # -- looking ----------------------------------------------------------------------------

    async def _show(self) -> None:
        while True:
            await self._show_once()
            await asyncio.sleep(_FRAME_S)

    async def _show_once(self) -> None:
        async with self._drawing:
            status = self._status
            try:
                seen = await self._look()
                self._seen = replace(seen, rates=self._pace.rates(seen.environments))
            except (RedisUnavailable, RedisRefused, NewerFormat) as error:
                status = str(error)
            up = timedelta(seconds=time.monotonic() - self._started)
            self._view.show(self._seen, up, status)

    async def _look(self) -> Seen:
        access = self._access
        step = look(access.fleet, access.scaling, access.settings.host, _DECISIONS)
        return await access.connection.arun(step)

    async def _hosts(self) -> Any:
        return await self._access.connection.arun(self._access.fleet.hosts())

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._signals.put_nowait, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)
            await self._access.connection.aclose()


@contextlib.asynccontextmanager
async def _beside(what: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run something for as long as the block does."""
    task = asyncio.ensure_future(what)
    try:
        yield
    finally:
        await _ended([task])
    if not task.cancelled():
        task.result()


async def _ended(tasks: Sequence[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
