"""Relief: lets nothing wait in a worker's hand behind a job that runs for long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from reuse_worker.rq_worker.hand import Hand

log = logging.getLogger("rq.worker")
# How long the main thread may stay with one job before the others in its hand are seen to.
_PATIENCE_S = 0.01


class Relief(threading.Thread):
    """Calls `relieve` while something is in the hand and the main thread does not move on."""

    def __init__(self, hand: Hand, relieve: Callable[[], None]) -> None:
        super().__init__(name="reuse-queue-relief", daemon=True)
        self._hand = hand
        self._relieve = relieve
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Relieve no more; return when the last time is over."""
        self._stopped.set()
        self._hand.filled.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Look after the hand."""
        hand = self._hand
        while not self._stopped.is_set():
            hand.filled.wait()
            began = hand.began
            self._stopped.wait(_PATIENCE_S)
            if not hand.empty and hand.began == began:
                self._see_to_it()
            elif hand.empty and not self._stopped.is_set():
                hand.filled.clear()
                # What came between the two lines above must not be overlooked.
                if not hand.empty or self._stopped.is_set():
                    hand.filled.set()

    def _see_to_it(self) -> None:
        try:
            self._relieve()
        except Exception as error:  # noqa: BLE001  # what comes after this job needs relief too
            log.warning("Relief failed: %s", error)
