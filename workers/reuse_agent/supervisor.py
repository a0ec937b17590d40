"""Supervisor: starts, watches and ends the processes of this host's replicas."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta

import structlog

from reuse_agent.causes import because, ended_by
from reuse_agent.charge import Charge
from reuse_agent.ends import End, Ends
from reuse_agent.memory import OutOfMemory
from reuse_agent.processes import Process
from reuse_agent.reconcile import Running
from reuse_agent.watch import reason
from reuse_agent.zygote import NotStarted, Zygote
from reuse_queue.facts import Replica
from reuse_queue.job import Verdict

log = structlog.get_logger()
_WATCH_S = 0.1
_DIES_WITHIN_S = 10.0


class Supervisor:
    """Has the replicas of one host in its charge.

    Args:
        group: runs what takes a moment to start.
        ends: hears how each replica ended.
    """

    def __init__(self, group: asyncio.TaskGroup, ends: Ends) -> None:
        self._group = group
        self._ends = ends
        self._memory = OutOfMemory()
        self._charges: dict[str, Charge] = {}
        self._stopping = False
        self._killing = ""
        self._none = asyncio.Event()
        self._none.set()

    # -- what there is ----------------------------------------------------------------------

    def running(self, but: Collection[str] = ()) -> dict[str, Running]:
        """Return the replicas that have a process, but for those of some environments."""
        return {
            name: each.running()
            for name, each in self._charges.items()
            if each.process and each.replica.environment not in but
        }

    def starting(self) -> set[str]:
        """Return the replicas whose process is just being started."""
        return {name for name, each in self._charges.items() if not each.process}

    def alive(self) -> Mapping[str, list[str]]:
        """Return, for each environment, the replicas whose leases are to be renewed.

        Not of those that are stopped (a debugger, SIGSTOP): others may have their jobs.
        """
        found: dict[str, list[str]] = {}
        for name, each in self._charges.items():
            if each.process is None or not each.process.stopped:
                found.setdefault(each.replica.environment, []).append(name)
        return found

    def renewed(self, names: Iterable[str], sent: float) -> None:
        """Take in which leases were renewed by a request sent then (CLOCK_MONOTONIC)."""
        for name in names:
            if name in self._charges:
                self._charges[name].board.renew(sent)

    def listed(self, books: Iterable[Replica], but: Collection[str] = ()) -> None:
        """Take in what the books say of the replicas here, but for those of some environments."""
        named = {replica.name: replica for replica in books}
        for name, each in self._charges.items():
            if each.replica.environment not in but:
                each.listed(named.get(name))

    # -- what is done -----------------------------------------------------------------------

    def start(self, replica: Replica, zygote: Zygote) -> None:
        """Start a replica's process."""
        try:
            charge = Charge.of(replica, zygote.concurrency)
        except OSError as error:  # out of descriptors
            self._ends.add(End(replica=replica, cause=f"not started: {error}"))
            return
        self._charges[replica.name] = charge
        self._none.clear()
        self._group.create_task(self._start(charge, zygote))

    def terminate(self, name: str, why: str) -> None:
        """Tell a replica to end within its grace."""
        charge = self._charges.get(name)
        if charge is not None and charge.process is not None:
            log.info("replica told to end", replica=name, reason=why)
            charge.told = True
            charge.process.send(signal.SIGTERM)

    def kill(self, name: str, why: str) -> None:
        """End a replica at once."""
        charge = self._charges.get(name)
        if charge is not None and charge.process is not None and not charge.killed_for:
            log.warning("replica killed", replica=name, reason=why)
            charge.killed_for = why
            charge.process.kill()

    async def stop(self, grace: timedelta, now: asyncio.Event) -> None:
        """End all replicas: within `grace`, or as soon as `now` is set."""
        self._stopping = True
        for name in list(self._charges):
            self.terminate(name, "its host stops")
        over = [asyncio.ensure_future(event.wait()) for event in (self._none, now)]
        try:
            await asyncio.wait(
                over, timeout=grace.total_seconds(), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for each in over:
                each.cancel()
        self._killing = "killed: still running when its host had to stop"
        for name in list(self._charges):
            self.kill(name, self._killing)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DIES_WITHIN_S):
                await self._none.wait()

    async def watch(self) -> None:
        """Kill replicas with a job that is overdue, until canceled."""
        while True:
            await asyncio.sleep(_WATCH_S)
            for charge in list(self._charges.values()):
                charge.watch.note(charge.board.onstage())
                verdicts = charge.watch.overdue(charge.board.read(), time.monotonic())
                if verdicts and not charge.killed_for:
                    charge.verdicts.update(verdicts)
                    self.kill(charge.name, reason(verdicts))

    def blocked(self) -> Mapping[str, tuple[str, str]]:
        """Return which replicas' loops some code has kept busy for a while → environment, whose."""
        return {
            name: (each.replica.environment, each.watch.blocker)
            for name, each in self._charges.items()
            if each.watch.blocker and not each.killed_for
        }

    def end_blocker(self, name: str, execution: str) -> None:
        """Kill a replica if that execution's code still blocks its loop; the job was canceled."""
        charge = self._charges.get(name)
        if charge is not None and charge.watch.blocker == execution:
            charge.verdicts[execution] = Verdict.CANCELED
            self.kill(name, reason(charge.verdicts))

    # ---------------------------------------------------------------------------------------

    async def _start(self, charge: Charge, zygote: Zygote) -> None:
        def ended(process: Process) -> None:
            self._end(charge, process)

        try:
            charge.process = await zygote.replica(charge.name, charge.board.fd, charge.note, ended)
        except NotStarted as error:
            self._forget(charge)
            self._ends.add(
                End(replica=charge.replica, cause=f"not started: {error}", age=_age(charge))
            )
            return
        log.info(
            "replica started",
            environment=charge.replica.environment,
            replica=charge.name,
            pid=charge.process.pid,
            took_ms=round(_age(charge).total_seconds() * 1000, 1),
        )
        if self._killing:
            self.kill(charge.name, self._killing)
        elif self._stopping:
            self.terminate(charge.name, "its host stops")

    def _end(self, charge: Charge, process: Process) -> None:
        status = process.status or 0
        oom = self._memory.killed() if status == -signal.SIGKILL else False
        charged, said = charge.charged(status, out_of_memory=bool(oom)), charge.said()
        orderly, unbegun = status == 0 and not charge.ran(), charge.board.unbegun()
        cause = charge.killed_for or ended_by(status, out_of_memory=oom)
        if said and not charge.killed_for:
            cause = because(cause, said)
        obeyed = charge.told and status in (0, -signal.SIGTERM)
        self._forget(charge)
        self._ends.add(
            End(
                replica=charge.replica,
                cause=cause,
                detail=said,
                charged=charged,
                unbegun=unbegun,
                age=_age(charge),
                asked=obeyed or (self._stopping and bool(charge.killed_for)),
                orderly=orderly,
            )
        )

    def _forget(self, charge: Charge) -> None:
        del self._charges[charge.name]
        charge.close()
        if not self._charges:
            self._none.set()


def _age(charge: Charge) -> timedelta:
    return timedelta(seconds=time.monotonic() - charge.since)
