"""One replica from its registration to its end."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import structlog

from reuse_queue.board import Board
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.rq_jobs import RqJobs
from reuse_queue.environment import TaskEnvironment
from reuse_queue.errors import LeaseLost, RedisRefused, RedisUnavailable
from reuse_queue.facts import ReplicaState
from reuse_worker.backoff import waits
from reuse_worker.callbacks import Callbacks
from reuse_worker.claimer import Claimer
from reuse_worker.execute import Executor
from reuse_worker.exit_code import ExitCode
from reuse_worker.felling import Felling
from reuse_worker.heartbeat import Heartbeat
from reuse_worker.hooks import Hooks
from reuse_worker.life import Life
from reuse_worker.recorder import Recorder
from reuse_worker.slots import Slots
from reuse_worker.steps import Steps
from reuse_worker.tenure import Tenure
from reuse_worker.webhooks import Webhooks

log = structlog.get_logger()


class Daemon:
    """Registers, runs on_start, claims and runs jobs, drains, runs on_stop.

    Made on the loop that it runs on.

    Args:
        env: the environment with its tasks and hooks.
        replica: the name under which it was ordered.
        board: shows the agent what runs.
        connection: where Redis is.
        report: gets the traceback of a failing on_start hook.
    """

    def __init__(
        self,
        env: TaskEnvironment,
        replica: str,
        board: Board,
        connection: Connection,
        report: Callable[[str], object],
    ) -> None:
        settings = connection.settings
        context = contextvars.copy_context()
        self.life = Life()
        self._env = env
        self._settings = settings
        self._report = report
        self._steps = Steps(connection, env.name, replica, board.claim)
        self._felling = Felling(self._steps)
        self._recorder = Recorder(self._steps, self._felling.soon)
        rq_jobs = RqJobs(connection, env.serializer.name)
        self._webhooks = Webhooks(env, self._recorder.watch)
        executor = Executor(env, replica, settings, rq_jobs.enter)
        tenure = Tenure(settings.lease)
        self._slots = Slots(
            executor,
            Callbacks(env, connection, rq_jobs, executor.running),
            self._webhooks,
            board,
            context,
            tenure,
            record=self._recorder.add,
            changed=self.life.notify,
            broke=self._break,
        )
        self._steps.away = lambda: self._slots.away
        self._heartbeat = Heartbeat(
            self._steps, self.life, tenure, board, self._slots.cancel, self._slots.halt
        )
        self._claimer = Claimer(
            self._steps, self.life, self._heartbeat, self._slots, self._recorder
        )
        self._hooks = Hooks(self._slots.thread, context)
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stuck = False

    def stop(self) -> None:
        """Drain for good within the drain grace; a second call ends the grace."""
        log.info("replica told to stop")
        self.life.stop(self._settings.drain_grace.total_seconds())

    async def run(self) -> ExitCode:
        """Serve until the replica has drained or been fenced; return why it ended."""
        code = ExitCode.UNEXPECTED
        try:
            code = await self._registered()
        except* LeaseLost as lost:
            reason = str(lost.exceptions[0])
            log.error("replica fenced", reason=reason)  # noqa: TRY400  # the reason says it all
            code = ExitCode.FENCED
        finally:
            await self._slots.stop()
            self._slots.thread.close()
        log.info("replica ended", code=int(code))
        return code

    # ---------------------------------------------------------------------------------------

    async def _registered(self) -> ExitCode:
        registering = self._steps.register(self._settings.start_timeout)
        if not await self.life.unless(lambda: self.life.stopping, registering):
            log.info("replica not wanted any more")
            return ExitCode.ASKED
        async with asyncio.TaskGroup() as group:
            parts = [
                group.create_task(self._heartbeat.run()),
                group.create_task(self._heartbeat.listen()),
                group.create_task(self._recorder.run()),
                group.create_task(self._felling.run()),
                group.create_task(self._watch()),
            ]
            code = await self._live()
            for part in parts:
                part.cancel()
        return code

    async def _watch(self) -> None:
        await self._broken

    def _break(self, error: BaseException) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    async def _live(self) -> ExitCode:
        problem = await self.life.unless(
            lambda: self.life.grace_over, self._hooks.start(self._env.hooks.on_start)
        )
        if problem is None:
            log.warning("replica ends before on_start has returned")
            return ExitCode.ASKED
        if problem:
            self._report(problem)
            return ExitCode.START_FAILED
        if not self.life.draining:
            await self._become_ready()
        while True:
            await self._claimer.run()
            if await self._left():
                await self._run_stop_hooks()
                return ExitCode.ASKED

    async def _become_ready(self) -> None:
        await self._heartbeat.listens()
        if await self._insist(self._steps.ready):
            log.info("replica ready")
        else:
            # Drained or ended meanwhile: the answer to the next beat says which.
            await self._heartbeat.renewed()

    async def _left(self) -> bool:
        """Finish what runs and leave for good; False: the drain was called off."""
        life, slots = self.life, self._slots
        log.info("replica draining", jobs=len(slots.held()))
        if life.stopping and life.state is not ReplicaState.DRAINING:
            await self._insist(self._steps.drain)
        await self._emptied()
        if not life.draining:
            log.info("drain called off")
            return False
        self._stuck = not await slots.stop()
        await self._recorder.flushed()
        await life.unless(lambda: life.grace_over, self._webhooks.sent())
        await self._claimer.tidy()
        if await self._insist(self._steps.depart):
            return True
        await self._heartbeat.renewed()
        # Stopping: the first reply to `depart` had been lost.
        return life.state is ReplicaState.STOPPING

    async def _emptied(self) -> None:
        """Return when nothing is held any more, the drain is called off or its grace is over.

        A wait that the drain has cut short may still bring a job: Redis does not know at once that
        nobody listens. One of those that are held here may wait for just that job.
        """
        life, slots, pauses = self.life, self._slots, waits()

        def over() -> bool:
            return not slots.held() or not life.draining or life.grace_over

        while not over():
            try:
                async with asyncio.timeout(next(pauses)):
                    await life.wait_for(over)
            except TimeoutError:
                await self._claimer.tidy()

    async def _run_stop_hooks(self) -> None:
        if self._stuck:
            log.warning("on_stop skipped: a job that ignored its stop still runs")
            return
        late = self.life.grace_over
        hooks = self._hooks.stop(self._env.hooks.on_stop)
        limit = self._settings.kill_grace.total_seconds() if late else None
        try:
            async with asyncio.timeout(limit):
                problems = await self.life.unless(lambda: self.life.grace_over and not late, hooks)
        except TimeoutError:
            problems = None
        if problems is None:
            log.warning("on_stop cut short: the grace is over")
        for problem in problems or ():
            log.error("on_stop failed", traceback=problem)

    async def _insist(self, ask: Callable[[], Awaitable[bool]]) -> bool:
        """Ask until Redis answers, or the lease is lost (which ends this from outside)."""
        pauses = waits()
        while True:
            try:
                return await ask()
            except RedisRefused as error:
                log.warning("refused by Redis", error=str(error))
                await asyncio.sleep(next(pauses))
            except RedisUnavailable:
                await self._heartbeat.renewed()
