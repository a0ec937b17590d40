"""A way to Redis that loses replies: what was asked is done, and nobody hears of it."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

_CHUNK = 1 << 20


class LossyProxy:
    """Passes everything on, but for the reply to the next request that holds certain words."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.socket = folder / "proxy.sock"
        self.url = f"unix://{self.socket}?db=0"
        self.lost = 0
        self._server = str(server)
        self._words: bytes | None = None
        self._meanwhile: Callable[[], object] | None = None
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.socket))
        self._listener.listen()
        self._start(self._accept)

    def lose_reply_to(self, words: str, meanwhile: Callable[[], object] | None = None) -> None:
        """Lose one reply, and the connection with it.

        Args:
            words: what the request holds that it belongs to.
            meanwhile: what else happens before anybody finds that out.
        """
        self._words, self._meanwhile = words.encode(), meanwhile

    def close(self) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    # ---------------------------------------------------------------------------------------

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._open += [client, server]
                self._start(self._serve, client, server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        loses = threading.Event()
        self._start(self._answer, client, server, loses)
        with contextlib.suppress(OSError):
            while asked := client.recv(_CHUNK):
                if self._words is not None and self._words in asked:
                    self._words = None
                    loses.set()
                server.sendall(asked)
        _end(client, server)

    def _answer(self, client: socket.socket, server: socket.socket, loses: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(_CHUNK):
                if loses.is_set():
                    self.lost += 1
                    if self._meanwhile is not None:
                        self._meanwhile()
                    break
                client.sendall(answer)
        _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
