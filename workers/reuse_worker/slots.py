"""Slots: the jobs that a replica holds, from their claim to their outcome."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Iterable

from reuse_queue.board import Board
from reuse_queue.job import ClaimedJob, Outcome, Verdict
from reuse_worker.away import Away
from reuse_worker.batch import Pace, most_away
from reuse_worker.call import ORDERED, Call, Limit, Order
from reuse_worker.callbacks import Callbacks
from reuse_worker.calls import Calls
from reuse_worker.doubt import Doubt
from reuse_worker.execute import Executor, ended_by, interrupted
from reuse_worker.onstage import onstage
from reuse_worker.sync_thread import SyncThread
from reuse_worker.tenure import Tenure
from reuse_worker.webhooks import Webhooks


class Slots:
    """Runs jobs in up to `concurrency` slots; those claimed ahead wait here for one, in order.

    Coroutine tasks run as asyncio tasks; sync tasks take turns on the sync thread, which is one
    slot. Those that wait for other jobs are away: they hold no slot, and go on before anything
    else starts. The tasks are in a plain set of ours rather than in a TaskGroup: a coroutine that
    ignores its cancel must not be able to hold the replica's end up.

    Args:
        executor: loads and runs calls.
        callbacks: calls what they name for their ends.
        webhooks: sends what they ask for then.
        board: shows what runs.
        context: what every job sees a copy of.
        tenure: nothing begins while that is in doubt.
        record: gets each outcome.
        changed: called when a job ended, or has left its slot.
        broke: hears of an error that no job can be blamed for.
    """

    def __init__(  # noqa: PLR0913  # the replica's parts
        self,
        executor: Executor,
        callbacks: Callbacks,
        webhooks: Webhooks,
        board: Board,
        context: contextvars.Context,
        tenure: Tenure,
        *,
        record: Callable[[Outcome], None],
        changed: Callable[[], None],
        broke: Callable[[BaseException], None],
    ) -> None:
        self.concurrency = executor.env.policy.concurrency
        self._calls = Calls(self.concurrency)
        self.pace = Pace()
        self.ended = 0
        """How many jobs have ended here so far."""
        self.thread = SyncThread(
            self._run_here,
            board,
            context,
            collect=self._collect,
            left=lambda call: self._away.left(call),  # noqa: PLW0108  # it is made below
            wants=lambda call: self._away.wants(call),  # noqa: PLW0108
            sure=tenure.sure,
            refused=self._refused,
            broke=broke,
        )
        self._executor = executor
        self._callbacks = callbacks
        self._webhooks = webhooks
        self._board = board
        self._yields = executor.env.yield_slots
        self._kill_grace_s = executor.settings.kill_grace.total_seconds()
        self._context = context
        self._sure = tenure.sure
        self._record = record
        self._changed = changed
        self._broke = broke
        self._away = Away(self._calls, self.thread, board, self._fill, changed)
        self._doubt = Doubt(self._calls, self._away, tenure, self._fill)

    # -- what it holds ----------------------------------------------------------------------

    @property
    def busy(self) -> int:
        """How many slots run something."""
        return self._calls.busy

    @property
    def free(self) -> int:
        """How many slots run nothing; below 0 where more run than there are slots."""
        return self._calls.free

    @property
    def away(self) -> int:
        """How many jobs have started and wait for others, without a slot."""
        return len(self._calls.away)

    @property
    def crowded(self) -> bool:
        """Whether so many are away that none should begin that may join them."""
        return self.away >= most_away(self.concurrency)

    @property
    def ahead(self) -> int:
        """How many jobs wait for a slot."""
        return self._calls.unbegun

    def held(self) -> list[str]:
        """Return the executions of all jobs that are held."""
        return [call.job.execution for call in self._calls.all()]

    # -- jobs come and go -------------------------------------------------------------------

    def take(self, jobs: Iterable[ClaimedJob]) -> None:
        """Run jobs that were claimed, as far as slots are free; the others wait."""
        for job in jobs:
            loaded = self._executor.load(job)
            if isinstance(loaded, Call):
                if not job.redeliver:
                    loaded.expected = self._board.expect(job.execution)
                self._calls.ahead.append(loaded)
            else:
                self._hand_on(job, loaded)
        self._board.claim("")
        self._fill()

    def cancel(self, execution: str) -> None:
        """Cancel a job, wherever it is; one that is not held is left alone.

        Its outcome is CANCELED as soon as it has given way. One that does not is shown overdue on
        the board after `kill_grace`, for the agent to kill the replica.
        """
        for call in self._calls.all():
            if call.job.execution == execution:
                self._order(call, Order.CANCEL)

    def halt(self, name: str) -> None:
        """Do the same to the job, or execution, of that id, but its outcome is rq's STOPPED."""
        for call in self._calls.all():
            if name in (call.job.id, call.job.execution):
                self._order(call, Order.HALT)

    def give_back(self) -> None:
        """Hold no longer what has not started."""
        for call in self._calls.ahead:
            call.begin(self._board)
        self._calls.ahead.clear()
        for execution, call in list(self._calls.handed.items()):
            if self.thread.take_back(call):
                call.begin(self._board)
                del self._calls.handed[execution]

    async def stop(self) -> bool:
        """Stop what runs, without outcomes; return whether all gave way within `kill_grace`.

        What may run only once has failed by that: it is the one kind that gets an outcome.
        What did not is taken off the board: whoever calls this gives its job back and ends the
        process.
        """
        self.give_back()
        for call in self._calls.all():
            self._stop(call, Order.GIVE_BACK)
        tasks = [call.running for call in self._calls.all() if call.running]
        if tasks:
            await asyncio.wait(tasks, timeout=self._kill_grace_s)
        stopped = not self.busy and not self.away
        for call in self._calls.all():
            if call.is_async:
                call.hide(self._board)
            self._interrupt(call)
        self.thread.hide()
        self._calls.drop()
        self._away.forget()
        return stopped

    # ---------------------------------------------------------------------------------------

    def _order(self, call: Call, order: Order) -> None:
        """Have a call end for good, wherever it is."""
        if call in self._calls.ahead:
            self._calls.ahead.remove(call)
            self._end(call, ended_by(order, call.job))
        elif call.running is not None:
            self._stop(call, order)
        elif self.thread.take_back(call):
            del self._calls.handed[call.job.execution]
            self._end(call, ended_by(order, call.job))
        elif call.order is None:
            call.order = order
            self.thread.condemn(call, time.monotonic() + self._kill_grace_s, ORDERED[order])

    def _fill(self) -> None:
        """Start what waits, strictly in order; sync calls queue up on the thread's one slot.

        Those that come back are first.
        """
        self._away.let_back()
        while self._calls.ahead and self._may_start(self._calls.ahead[0]):
            call = self._calls.ahead.popleft()
            if self._yields:
                call.place = self._away.place(call)
            if call.is_async:
                self._calls.coroutines[call.job.execution] = call
                call.running = asyncio.get_running_loop().create_task(
                    self._run(call), context=self._context.copy()
                )
            else:
                self._calls.handed[call.job.execution] = call
                self.thread.add(call)

    def _may_start(self, call: Call) -> bool:
        queues_up = not call.is_async and bool(self._calls.handed) and not self._away.returning
        return (self.free > 0 or queues_up) and not self._doubt.lasts

    def _refused(self, call: Call) -> None:
        if self._doubt.put_back(call) and call.order is not None:
            self._order(call, call.order)

    async def _run(self, call: Call) -> None:
        job = call.job
        try:
            if call.order is None and not self._sure():
                self._doubt.put_back(call)
                return
            if call.order is None:
                limit, board = call.limit(), self._board
                if limit is not None:
                    call.overdue = Limit(limit.at + self._kill_grace_s, limit.meaning)
                call.show(board)
                call.begin(board)
                call.begun = True
                outcome = await onstage(self._executor.run(call, limit), board, call)
                if job.callbacks is not None:
                    after = self._callbacks.after(call, outcome, self.thread)
                    outcome = await onstage(after, board, call)
                call.hide(board)
            else:
                outcome = ended_by(call.order, job)
            if self._calls.coroutines.pop(job.execution, None) is not None:
                self._end(call, outcome)
                self._fill()
        except Exception as error:  # noqa: BLE001  # ours: the task's own became an outcome
            self._broke(error)

    def _run_here(self, call: Call) -> Outcome:
        outcome = self._executor.run_here(call)
        if call.job.callbacks is not None:
            outcome = self._callbacks.after_here(call, outcome, self.thread)
        return outcome

    def _stop(self, call: Call, order: Order) -> None:
        if call.order is not None or call.running is None:
            return
        call.order = order
        # Its clean-up must leave the children alone that its next execution will look for.
        call.lineage.over = order is Order.GIVE_BACK
        # A coroutine that has not begun could not record its own end if it were canceled here:
        # it sees the order when it begins.
        if not call.begun:
            return
        if order in ORDERED:
            call.overdue = Limit(time.monotonic() + self._kill_grace_s, ORDERED[order])
            call.show(self._board)
        call.running.cancel()

    def _collect(self, call: Call, outcome: Outcome) -> None:
        if self._calls.handed.pop(call.job.execution, None) is None:
            return  # given back meanwhile
        self._end(call, outcome)
        if not self._calls.handed:
            self._fill()

    def _interrupt(self, call: Call) -> None:
        """Fail a call that was stopped, where it may not be given back; an order goes before."""
        if not call.job.redeliver and call.order not in ORDERED:
            self._hand_on(call.job, interrupted(call.job))

    def _end(self, call: Call, outcome: Outcome) -> None:
        """Hand an outcome on; a call that was stopped ended by that, whatever it raised."""
        call.begin(self._board)
        if call.order is not None and outcome.verdict is not Verdict.FINISHED:
            if call.order is Order.GIVE_BACK:
                if call.begun:
                    self._interrupt(call)
                return
            outcome = ended_by(call.order, call.job, outcome.took)
        self.ended += 1
        self.pace.ran(outcome.took.total_seconds(), len(call.job.data))
        self._hand_on(call.job, outcome)
        self._changed()

    def _hand_on(self, job: ClaimedJob, outcome: Outcome) -> None:
        if job.webhooks is not None:
            self._webhooks.expect(job, outcome)
        self._record(outcome)
