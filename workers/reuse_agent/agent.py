"""Agent: what runs on one host is what the books say, and the books say how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Collection, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from reuse_agent.ends import End, Ends
from reuse_agent.link import Link
from reuse_agent.notify import notify
from reuse_agent.processes import Processes
from reuse_agent.reconcile import Deed, Do, Here, reconcile
from reuse_agent.register import Register
from reuse_agent.renewal import Renewal
from reuse_agent.stand_in import StandIn
from reuse_agent.supervisor import Supervisor
from reuse_agent.target import Target
from reuse_agent.unheard import Unheard
from reuse_queue.broker.connection import Connection, Step
from reuse_queue.broker.doctor import supported
from reuse_queue.errors import HostTaken, RedisRefused, TargetNotLoaded, UnsupportedRedis
from reuse_queue.facts import Replica
from reuse_queue.settings import Settings

log = structlog.get_logger()
_LOOK_S = 1.0
_MARGIN = timedelta(seconds=3)
_REPORTS_WITHIN_S = 5.0
_RESTS_WITHIN_S = 5.0


class Agent:
    """One host's agent; made on the loop that it runs on.

    Args:
        targets: `module:attribute` of each environment that this host serves.
        settings: where Redis is, the host's name, and the times.
        max_replicas: how many replicas the scaler may order here.
        strict: end with TargetNotLoaded if a target cannot be loaded at the start.
    """

    def __init__(
        self, targets: Sequence[str], settings: Settings, *, max_replicas: int, strict: bool
    ) -> None:
        self._settings = settings
        self._strict = strict
        self._connection = Connection(settings)
        self._link = Link(self._connection)
        self._processes = Processes()
        self._targets = [
            Target(name, self._processes, settings, changed=self._changed, taken=self._taken)
            for name in targets
        ]
        self._register = Register(self._link, self._targets, max_replicas)
        self._ends = Ends(self._link)
        self._look = asyncio.Event()
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._names: set[str] = set()
        """Every environment that this host has served."""
        # Where Redis refuses to show the books.
        self._unknown = set[str]()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then let the replicas finish; at once at a second one.

        SIGHUP loads the applications' code anew.

        Raises:
            HostTaken: another agent runs under this host's name.
            UnsupportedRedis: this server cannot keep a queue safely.
            RedisRefused: or this login may not see that.
            TargetNotLoaded: `strict`, and a target cannot be loaded.
        """
        self._hear_signals()
        problem: Exception | None = None
        try:
            async with asyncio.TaskGroup() as group:
                await self._serve(group)
        except* (TargetNotLoaded, HostTaken, UnsupportedRedis, RedisRefused) as errors:
            problem = errors.exceptions[0]
        finally:
            self._processes.close()
            await self._connection.aclose()
        if problem is not None:
            raise problem

    # -- its life ---------------------------------------------------------------------------

    async def _serve(self, group: asyncio.TaskGroup) -> None:
        supervisor = Supervisor(group, self._ends)
        parts = [group.create_task(target.run()) for target in self._targets]
        if await self._unless_stopped(self._begin()):
            looking = group.create_task(self._keep_looking(supervisor))
            parts += [
                group.create_task(each)
                for each in (
                    supervisor.watch(),
                    Unheard(self._link, supervisor).run(),
                    Renewal(self._link, supervisor).run(),
                    self._register.run(),
                    self._link.listen(self._look.set),
                    self._ends.run(),
                    StandIn(self._link, self._names).run(),
                    self._tell_ready(),
                )
            ]
            await self._stop.wait()
            await self._end(supervisor, looking)
            # All that matters is done. A cancellation that a library loses must not keep us here.
            asyncio.get_running_loop().call_later(_RESTS_WITHIN_S, _give_up)
        for part in parts:
            part.cancel()

    async def _begin(self) -> None:
        await self._link.ask(lambda: supported(self._connection.keys), refusals=1)
        await self._register.take_name()
        await self._end_former()
        if self._strict:
            await self._insist()
        log.info("agent started", targets=[target.name for target in self._targets])

    async def _insist(self) -> None:
        for target in self._targets:
            await target.tried.wait()
            if target.broken:
                await self._register.leave()
                raise TargetNotLoaded(f"{target.name} cannot be loaded:\n{target.broken}")

    async def _end_former(self) -> None:
        """End what the agent before this one has left: it died with that."""
        envs = await self._link.ask(self._link.fleet.environments)
        books, _ = await self._books(envs)
        named = {replica.name: replica for replica in books}
        # What was only ordered can be started here, once the targets are loaded.
        for deed in reconcile(books, {}, self._here(loading=envs)):
            self._do_without(deed, named[deed.replica])

    async def _tell_ready(self) -> None:
        for target in self._targets:
            await target.tried.wait()
        notify("READY=1")

    async def _end(self, supervisor: Supervisor, looking: asyncio.Task[None]) -> None:
        log.info("agent stopping")
        notify("STOPPING=1")
        self._register.draining = True
        self._register.changed()
        self._look.set()
        settings = self._settings
        grace = settings.drain_grace + settings.kill_grace + _MARGIN
        await supervisor.stop(grace, self._stop_now)
        looking.cancel()
        # What can't be said now, the leases will.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REPORTS_WITHIN_S):
                await self._reconcile(supervisor)
                await self._ends.none()
                await self._register.leave()
        log.info("agent stopped")

    # -- what it does all the time ----------------------------------------------------------

    async def _keep_looking(self, supervisor: Supervisor) -> None:
        while True:
            self._look.clear()
            await self._reconcile(supervisor)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._look.wait()

    async def _reconcile(self, supervisor: Supervisor) -> None:
        self._names |= {target.environment for target in self._targets if target.environment}
        books, unknown = await self._books(self._names)
        supervisor.listed(books, but=unknown)
        named = {replica.name: replica for replica in books}
        unsettled = supervisor.starting() | self._ends.names | self._ends.reported
        loading = [target.environment for target in self._targets if target.loading]
        here = self._here(loading=loading, unsettled=unsettled)
        for deed in reconcile(books, supervisor.running(but=unknown), here):
            if deed.do is Do.START:
                self._start(supervisor, named[deed.replica])
            elif deed.do is Do.END:
                self._do_without(deed, named[deed.replica])
            elif deed.do is Do.KILL:
                supervisor.kill(deed.replica, deed.why)
            else:
                supervisor.terminate(deed.replica, deed.why)

    async def _books(self, names: Collection[str]) -> tuple[list[Replica], set[str]]:
        """Return what belongs here, and the environments of which Redis does not tell that."""
        books, unknown = list[Replica](), set[str]()
        try:
            books = await self._link.ask(lambda: self._assigned(names), refusals=1)
        except RedisRefused as error:
            for name in names:  # whose it is shows one by one
                try:
                    books += await self._link.ask(partial(self._assigned, [name]), refusals=1)
                except RedisRefused:
                    unknown.add(name)
            if unknown - self._unknown:
                log.warning("redis refuses", environments=sorted(unknown), reason=str(error))
        if self._unknown and not unknown:
            log.info("redis reached again")
        self._unknown = unknown
        return books, unknown

    def _assigned(self, names: Collection[str]) -> Step[list[Replica]]:
        self._ends.reported.clear()  # what is reported from here on may still be in the answer
        return self._link.fleet.assigned(self._settings.host, sorted(names))

    def _here(self, *, loading: Collection[str], unsettled: Collection[str] = ()) -> Here:
        settings = self._settings
        return Here(
            offers={each.environment: each.version for each in self._targets if each.version},
            loading=loading,
            unsettled=unsettled,
            draining=self._stop.is_set(),
            start_timeout=settings.start_timeout,
            stop_timeout=settings.drain_grace,
            off_books_grace=2 * (settings.heartbeat + settings.kill_grace),
        )

    def _start(self, supervisor: Supervisor, replica: Replica) -> None:
        target = next(each for each in self._targets if each.environment == replica.environment)
        if target.zygote is not None:
            supervisor.start(replica, target.zygote)

    def _do_without(self, deed: Deed, replica: Replica) -> None:
        self._ends.add(End(replica=replica, cause=deed.why, charged=None, asked=deed.asked))

    # -- what it hears ----------------------------------------------------------------------

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._told_to_reload)

    def _told_to_stop(self) -> None:
        (self._stop_now if self._stop.is_set() else self._stop).set()

    def _told_to_reload(self) -> None:
        log.info("loading the code anew")
        for target in self._targets:
            target.reload()

    def _changed(self) -> None:
        """Tell the books of what a target has to say, and look what can be started now."""
        self._register.changed()
        self._look.set()

    def _taken(self, environment: str, by: str) -> str:
        others = (each for each in self._targets if each.name != by)
        return next((each.name for each in others if each.environment == environment), "")

    async def _unless_stopped(self, doing: Coroutine[Any, Any, None]) -> bool:
        """Return True when `doing` is done, False as soon as the agent is told to stop."""
        tasks = [asyncio.ensure_future(each) for each in (doing, self._stop.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                tasks[0].result()
            return tasks[0].done()
        finally:
            for task in tasks:
                task.cancel()


def _give_up() -> None:
    left = [getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks()]
    log.error("agent did not come to rest", left=left)
    os._exit(0)
