"""Heart: renews a worker's leases from a thread, since its jobs run on the main one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger("rq.worker")


class Heart(threading.Thread):
    """Calls `beat` every `every_s` seconds until it is stopped, whatever happens to a beat."""

    def __init__(self, beat: Callable[[], None], every_s: float) -> None:
        super().__init__(name="reuse-queue-heart", daemon=True)
        self._beat = beat
        self._every_s = every_s
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Beat no more; return when the last beat is over."""
        self._stopped.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """Beat."""
        while not self._stopped.wait(self._every_s):
            try:
                self._beat()
            except Exception as error:  # noqa: BLE001  # the next beat may reach Redis again
                log.warning("Heartbeat failed: %s", error)
