"""A bad network: a TCP proxy between the processes of one host and Redis."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass

_CHUNK = 1 << 16
_RESET = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Pair:
    client: socket.socket
    server: socket.socket
    forgotten: bool = False
    """Nothing comes through any more, in either direction, and nobody is told."""


class Network:
    """Passes everything on, but late, not now, or never, as it is told.

    Attributes:
        url: Redis, seen through it.
        latency_s: the longest that each piece is late; half of it on average.
    """

    def __init__(self, server: str, login: str = "") -> None:
        self.latency_s = 0.0
        self._server = server
        self._passing = threading.Event()
        self._passing.set()
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"redis://{login}127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._start(self._accept)

    def cut(self) -> None:
        """Hold everything back, as between the two sides of a partition."""
        self._passing.clear()

    def mend(self) -> None:
        """Let what was held back through, and all that follows."""
        self._passing.set()

    def forget(self) -> None:
        """Leave every connection half-open, for ever: both ends believe in it."""
        for pair in self._all():
            pair.forgotten = True

    def reset(self) -> None:
        """Reset every connection."""
        for pair in self._all():
            self._end(pair)

    def close(self) -> None:
        """End it; nobody can connect any more."""
        self.mend()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    # ---------------------------------------------------------------------------------------

    def _all(self) -> list[_Pair]:
        with self._lock:
            return list(self._pairs)

    @staticmethod
    def _start(target: object, *args: object) -> None:
        threading.Thread(target=target, args=args, daemon=True).start()  # type: ignore[arg-type]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._start(self._join, client)

    def _join(self, client: socket.socket) -> None:
        self._passing.wait()
        server = socket.socket(socket.AF_UNIX)
        pair = _Pair(client, server)
        with self._lock:
            self._pairs.add(pair)
        try:
            server.connect(self._server)
        except OSError:  # no server there now
            self._end(pair)
            return
        self._start(self._pump, pair, server, client)
        self._pump(pair, client, server)

    def _pump(self, pair: _Pair, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_CHUNK):
                self._passing.wait()
                if pair.forgotten:
                    continue
                if self.latency_s:
                    time.sleep(random.uniform(0, self.latency_s))
                sink.sendall(piece)
        if not pair.forgotten or source is pair.client:
            self._end(pair)

    def _end(self, pair: _Pair) -> None:
        with self._lock:
            if pair not in self._pairs:
                return
            self._pairs.remove(pair)
        with contextlib.suppress(OSError):
            pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        for each in (pair.client, pair.server):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
