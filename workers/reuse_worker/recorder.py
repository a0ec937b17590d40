"""Recorder: writes the outcomes of jobs, many at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice

import structlog

from reuse_queue.errors import RedisUnavailable
from reuse_queue.job import Outcome, Recorded, Verdict
from reuse_worker.backoff import waits
from reuse_worker.steps import Steps

log = structlog.get_logger()
_MOST = 1000
_MOST_BYTES = 8 * 1024 * 1024


class Recorder:
    """Keeps one flush in flight; what ends meanwhile goes into the next.

    An outcome is tried until it is recorded or the replica has lost its lease (which ends `run`
    from outside). One that Redis refuses goes to the back, so that it holds up no other.
    `felled` is called when jobs have ended whose children are to be canceled.
    """

    def __init__(self, steps: Steps, felled: Callable[[], None]) -> None:
        self._steps = steps
        self._felled = felled
        self._outcomes: deque[Outcome] = deque()
        self._added = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._at_once = _MOST
        self._pauses = waits()
        self._watched: dict[str, Callable[[Recorded], None]] = {}

    def watch(self, execution: str, tell: Callable[[Recorded], None]) -> None:
        """Call `tell` with what becomes of an execution's outcome."""
        self._watched[execution] = tell

    def add(self, outcome: Outcome) -> None:
        """Record an outcome as soon as possible."""
        self._outcomes.append(outcome)
        self._added.set()
        self._empty.clear()

    def held(self) -> list[str]:
        """Return the executions whose outcomes are not recorded yet."""
        return [outcome.execution for outcome in self._outcomes]

    async def flushed(self) -> None:
        """Return when every outcome is recorded."""
        await self._empty.wait()

    async def run(self) -> None:
        """Record outcomes until canceled."""
        while True:
            await self._added.wait()
            self._added.clear()
            while self._outcomes:
                await self._flush(self._batch())
            self._empty.set()

    # ---------------------------------------------------------------------------------------

    def _batch(self) -> list[Outcome]:
        batch: list[Outcome] = []
        size = 0
        for outcome in islice(self._outcomes, self._at_once):
            size += len(outcome.value or b"") + len(outcome.error)
            if batch and size > _MOST_BYTES:
                break
            batch.append(outcome)
        return batch

    async def _flush(self, batch: list[Outcome]) -> None:
        again = False
        while True:
            try:
                recorded = await self._steps.finish(batch)
            except RedisUnavailable as error:
                log.warning("outcomes not recorded yet", jobs=len(batch), error=str(error))
            except Exception:
                log.exception("outcomes refused by Redis", jobs=[each.job_id for each in batch])
                self._refused()
                await asyncio.sleep(next(self._pauses))
                return
            else:
                self._recorded(batch, recorded, again=again)
                return
            again = True
            await asyncio.sleep(next(self._pauses))

    def _recorded(self, batch: list[Outcome], recorded: list[Recorded], *, again: bool) -> None:
        for _ in batch:
            self._outcomes.popleft()
        self._pauses = waits()
        self._at_once = min(_MOST, self._at_once * 2)
        # The reply may be a repeat's, which knows nothing: the outcomes do.
        if Recorded.CANCELED in recorded or any(map(_fells, batch)):
            self._felled()
        if self._watched:
            for outcome, became in zip(batch, recorded, strict=True):
                tell = self._watched.pop(outcome.execution, None)
                if tell is not None:
                    tell(became)
        # A flush whose reply was lost answers LOST when it is repeated: that says nothing then.
        if Recorded.LOST in recorded and not again:
            lost = [
                outcome.job_id
                for outcome, became in zip(batch, recorded, strict=True)
                if became is Recorded.LOST
            ]
            log.warning("outcomes came too late: their leases were lost", jobs=lost)

    def _refused(self) -> None:
        """Go on one by one; the first one goes behind the others."""
        self._at_once = 1
        self._outcomes.rotate(-1)


def _fells(outcome: Outcome) -> bool:
    return outcome.late or outcome.verdict in (Verdict.CANCELED, Verdict.STOPPED)
