"""Lineage: what one run of a job has called so far; its children's ids are made of that."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from hashlib import blake2b

MOST_REMEMBERED = 30_000
"""Different calls of one run that are counted each by itself."""


class Lineage:
    """Gives the jobs that a run of a job enqueues their ids: the same ones when it is redelivered.

    An id is made of the run, of all that is called, and of how many equal calls the run has made
    before. So the order in which branches of a run that go on at the same time make their calls
    does not matter, and a job with other arguments never has the same id. Calls beyond the first
    `MOST_REMEMBERED` different ones are numbered through, task by task, so that a run which makes
    millions of them needs no more memory: for those the order does matter.

    Attributes:
        over: the run counts no more, though its code may go on for a while.
    """

    __slots__ = ("_counts", "_lock", "_others", "over")

    def __init__(self) -> None:
        self.over = False
        self._counts: dict[int, int] = {}
        self._others: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()

    def child_id(self, caller: tuple[str, ...], data: bytes) -> str:
        """Return the id of a call's job, in the form of a UUID (version 8: of one's own making).

        Args:
            caller: the run and the task; what makes two calls of equal arguments different ones.
            data: the serialized arguments.
        """
        call = blake2b(_framed(caller), digest_size=16)
        call.update(data)
        call.update(self._occurrence(call.digest(), caller))
        digits = call.hexdigest()
        return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def _occurrence(self, call: bytes, caller: tuple[str, ...]) -> bytes:
        known = int.from_bytes(call[:8])
        with self._lock:
            before = self._counts.get(known, 0)
            if before or len(self._counts) < MOST_REMEMBERED:
                self._counts[known] = before + 1
                return b"equal %d" % before
            place = self._others.get(caller, 0)
            self._others[caller] = place + 1
            return b"in all %d" % place


def _framed(parts: Iterable[str]) -> bytes:
    """Return texts in a row, so that no other texts look like them."""
    words = [part.encode(errors="surrogateescape") for part in parts]
    return b"".join(b"%d:%b" % (len(word), word) for word in words)
