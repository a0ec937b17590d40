"""Mailbox: whom to tell of which jobs' ends, and how Redis is asked about them.

A caller that waits is noted at the job (lua/await.lua), and the step that ends the job puts its
id into the caller's mailbox (lua/lib/mail.lua). Ends that rq's own workers write, and mail that
was lost with a connection, are found by looking, less and less often.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from reuse_queue.broker import codec, results
from reuse_queue.broker.connection import Step, call, command
from reuse_queue.broker.keys import Keys
from reuse_queue.errors import ReuseQueueError
from reuse_queue.job import Ending

Told: TypeAlias = "Callable[[str, Ending | ReuseQueueError], None]"
"""Hears of a job's end, or why nothing will be heard of it."""

BLOCK_S = 1.0
"""How long a mailbox is listened to at a time."""
_BATCH = 100  # of results, each of which may be large
_MAIL = 1000
_FIRST_LOOK_S, _GROWTH, _LONGEST_LOOK_S = 1.0, 1.5, 15.0


class Promise(Protocol):
    """What a caller waits at: a future of asyncio's or of concurrent's."""

    def done(self) -> bool:
        """Return whether it has been kept."""

    def set_result(self, result: Any, /) -> None:
        """Keep it."""

    def set_exception(self, exception: Any, /) -> None:
        """Say why it cannot be kept."""


@dataclass(slots=True)
class _Note:
    """A promise that is kept by telling somebody."""

    job_id: str
    tell: Told
    kept: bool = False

    def done(self) -> bool:
        return self.kept

    def set_result(self, result: Ending, /) -> None:
        self._keep(result)

    def set_exception(self, exception: ReuseQueueError, /) -> None:
        self._keep(exception)

    def _keep(self, what: Ending | ReuseQueueError) -> None:
        self.kept = True
        self.tell(self.job_id, what)


@dataclass(slots=True)
class _Awaited:
    promises: list[Promise] = field(default_factory=list)
    wait_s: float = _FIRST_LOOK_S
    look_at: float = field(default_factory=lambda: time.monotonic() + _FIRST_LOOK_S)


class Mailbox:
    """The jobs that one event loop awaits, or all threads together, each with who awaits it."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._key = keys.mailbox(os.urandom(8).hex())
        self._awaited: dict[str, _Awaited] = {}
        self._lock = threading.Lock()
        self._looks_at = 0.0

    def __bool__(self) -> bool:
        """Return whether anything is awaited."""
        return bool(self._awaited)

    def add(self, job_id: str, promise: Promise) -> None:
        """Let a promise be kept when the job has ended."""
        with self._lock:
            self._awaited.setdefault(job_id, _Awaited()).promises.append(promise)

    def drop(self, job_id: str, promise: Promise) -> None:
        """Forget a promise, if it is still there."""
        with self._lock:
            awaited = self._awaited.get(job_id)
            if awaited is None or promise not in awaited.promises:
                return
            awaited.promises.remove(promise)
            if not awaited.promises:
                del self._awaited[job_id]

    def fail(self, error: ReuseQueueError, job_ids: Iterable[str] | None = None) -> None:
        """Tell those who await these jobs, or any, why they cannot."""
        for job_id in list(self._awaited) if job_ids is None else job_ids:
            for promise in self._taken(job_id):
                # Each its own: a traceback grows with everyone who raises it.
                own = type(error)(str(error))
                own.__cause__ = error
                promise.set_exception(own)

    def ask(self, job_ids: Sequence[str]) -> Step[None]:
        """Keep the promises of those jobs that have ended; let the others send mail."""
        wanted = [each for each in job_ids if each in self._awaited]
        for at in range(0, len(wanted), _BATCH):
            part = wanted[at : at + _BATCH]
            keys = [key(each) for each in part for key in (self._keys.job, self._keys.results)]
            replies = yield call("await", (self._key, *keys))
            for job_id, reply in zip(part, replies, strict=True):
                self._settle(job_id, results.ending(reply))

    def listen(self) -> Step[bool]:
        """Keep the promises of jobs whose ends are told of within a second; return if any was.

        Jobs of which nothing has been heard for long are looked at, too.
        """
        block_s = f"{BLOCK_S:g}"
        mail = yield command(
            "BLMPOP", block_s, 1, self._key, "LEFT", "COUNT", _MAIL, blocks_s=BLOCK_S
        )
        told = dict.fromkeys(map(codec.name, mail[1]) if mail else ())
        told.update(dict.fromkeys(self._silent(time.monotonic())))
        yield from self.ask(list(told))
        return bool(mail)

    # ---------------------------------------------------------------------------------------

    def _settle(self, job_id: str, ending: Ending) -> None:
        status, _ = ending
        if status is None or status.ended:
            for promise in self._taken(job_id):
                promise.set_result(ending)

    def _taken(self, job_id: str) -> list[Promise]:
        with self._lock:
            awaited = self._awaited.pop(job_id, None)
        return [each for each in awaited.promises if not each.done()] if awaited else []

    def _silent(self, now: float) -> Iterator[str]:
        """Yield the jobs that are due to be looked at; ends may be many, so not at each of them."""
        if now < self._looks_at:
            return
        self._looks_at = now + BLOCK_S / 2
        with self._lock:
            due = [(job_id, each) for job_id, each in self._awaited.items() if each.look_at <= now]
        for job_id, each in due:
            each.wait_s = min(each.wait_s * _GROWTH, _LONGEST_LOOK_S)
            each.look_at = now + each.wait_s
            yield job_id


class Notes:
    """Who is to be told of the ends of many jobs, of each as soon as it is known."""

    def __init__(self, box: Mailbox, told: Told) -> None:
        self._box = box
        self._told = told
        self._open: dict[str, _Note] = {}

    def add(self, job_ids: Iterable[str]) -> None:
        """Let it be told of these jobs, too."""
        for job_id in job_ids:
            note = self._open[job_id] = _Note(job_id, self._tell)
            self._box.add(job_id, note)

    def drop(self) -> None:
        """Let it be told of nothing any more."""
        while self._open:
            self._box.drop(*self._open.popitem())

    def _tell(self, job_id: str, what: Ending | ReuseQueueError) -> None:
        if self._open.pop(job_id, None) is not None:
            self._told(job_id, what)
