"""rq-dashboard as a process of its own, and what its pages and buttons answer."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from support.eventually import eventually_sync


class Answer(NamedTuple):
    """What a page or a button said."""

    status: int
    text: str

    def json(self) -> Any:
        assert self.status == 200, (self.status, self.text)
        return json.loads(self.text)


class Dashboard:
    """One dashboard on a free port, from a command line that takes rq-dashboard's options."""

    def __init__(self, program: Sequence[str], redis_url: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        at = ("--bind", "127.0.0.1", "--port", str(self._port), "--redis-url", redis_url)
        with (folder / "dashboard.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*program, *at, "--json"], cwd=folder, stdout=log, stderr=log
            )
        try:
            eventually_sync(self._listens, within=20, what="the dashboard")
        except AssertionError:
            self.close()
            raise

    def get(self, path: str) -> Answer:
        return self._ask("GET", path)

    def post(self, path: str) -> Answer:
        return self._ask("POST", path)

    def data(self, path: str) -> Any:
        """Return what a page loads for itself."""
        return self.get(f"/0/data/{path}.json").json()

    def jobs(self, queue: str, registry: str) -> dict[str, Any]:
        """Return the jobs that a registry's page lists, by id."""
        listed = self.data(f"jobs/{queue}/{registry}/20/asc/1")["jobs"]
        return {each["id"]: each for each in listed}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ask(self, method: str, path: str) -> Answer:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return Answer(reply.status, reply.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())

    def _listens(self) -> bool:
        assert self._process.poll() is None, "the dashboard ended"
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False
