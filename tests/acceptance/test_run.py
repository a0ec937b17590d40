"""`reuse-queue run` as a user sees it: real processes, from start to a clean end."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import psutil
import pytest

from reuse_queue.embedded import running_url
from support.eventually import eventually_sync

pytestmark = pytest.mark.timeout(90)

APP = """
import asyncio, os, time
from reuse_queue import ReusePolicy, TaskEnvironment

env = TaskEnvironment(name="sums", reusable=ReusePolicy(replicas=(0, 2), concurrency=4))

@env.task
async def add(a: int, b: int) -> int:
    return a + b

@env.task
async def slow(seconds: float, path: str) -> str:
    with open(path + ".started", "w"):
        pass
    await asyncio.sleep(seconds)
    with open(path, "w") as file:
        file.write("done")
    return path
"""


class Run:
    """One `reuse-queue run`, with all that it printed so far."""

    def __init__(self, folder: Path, *words: str, **how) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reuse_queue", "run", *words],
            cwd=folder,
            env=environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **how,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=sink.extend, args=(stream,))
            for sink, stream in (
                (self.out, self.process.stdout),
                (self.err, self.process.stderr),
            )
        ]
        for reader in self._readers:
            reader.start()

    def end(self, within: float = 40) -> tuple[int, str, str]:
        try:
            code = self.process.wait(within)
        except subprocess.TimeoutExpired:
            pytest.fail(f"run goes on after {within} s: {self.out} {self.err}")
        for reader in self._readers:
            reader.join(10)
        return code, "".join(self.out), "".join(self.err)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.end()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


def environ() -> dict[str, str]:
    unset = ("REDIS_URL", "REUSE_QUEUE_REDIS_URL")
    return {name: value for name, value in os.environ.items() if name not in unset}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "app.py").write_text(APP)
    yield tmp_path
    for process in alive(tmp_path):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def alive(folder: Path) -> list[psutil.Process]:
    """Every process that a run in this folder started, directly or not: they work in it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and (
                Path(process.cwd()).is_relative_to(folder)
            ):
                found.append(process)
    return found


def assert_nothing_is_left(folder: Path) -> None:
    eventually_sync(lambda: not alive(folder), what="the end of all processes")
    assert running_url(folder / ".reuse-queue") is None
    assert not list(folder.rglob("*.sock"))


def client(code: str) -> Sequence[str]:
    return ("--", sys.executable, "-c", f"import app\n{code}")


def reuse_queue(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reuse_queue", *words],
        cwd=folder,
        env=environ(),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_a_command_gets_its_results_its_output_stays_its_own_and_its_exit_code_is_passed_on(
    folder: Path,
):
    script = "print(app.add.enqueue(2, 3).result(timeout=30)); raise SystemExit(7)"
    with contextlib.closing(Run(folder, "app:env", *client(script))) as run:
        code, out, err = run.end()
    assert (code, out) == (7, "5\n"), err
    assert "is ready" in err
    assert_nothing_is_left(folder)


@pytest.mark.parametrize(
    ("target", "reason"),
    [("ap:env", "ap"), ("app:environment", "environment")],
    ids=["no such module", "no such attribute"],
)
def test_a_wrong_target_ends_it_with_code_2_and_the_reason(folder: Path, target: str, reason: str):
    with contextlib.closing(Run(folder, target, *client("print('ran')"))) as run:
        code, out, err = run.end()
    assert (code, out) == (2, ""), err
    assert reason in err.splitlines()[-1]
    assert_nothing_is_left(folder)


def test_ctrl_c_ends_it_well_and_until_then_other_commands_find_its_redis(folder: Path):
    with contextlib.closing(Run(folder, "app:env", "--max-replicas", "7")) as run:
        eventually_sync(lambda: "Ctrl-C stops" in "".join(run.out), within=30)
        (agent,) = [each for each in alive(folder) if "reuse_agent" in each.cmdline()]
        assert agent.cmdline()[-3:-1] == ["--max-replicas", "7"]
        listed = reuse_queue(folder, "env", "list", "--json")
        assert listed.returncode == 0, listed.stderr
        assert [each["name"] for each in json.loads(listed.stdout)] == ["sums"]
        checked = reuse_queue(folder, "doctor", "app:env")
        assert "scaler" in checked.stdout
        os.killpg(run.process.pid, signal.SIGINT)
        code, _, err = run.end()
    assert code == 0, err
    assert_nothing_is_left(folder)


def test_sigterm_lets_a_running_job_finish(folder: Path):
    mark = folder / "mark"
    with contextlib.closing(Run(folder, "app:env")) as run:
        eventually_sync(lambda: "Ctrl-C stops" in "".join(run.out), within=30)
        enqueue(folder, f"app.slow.enqueue(1.5, {str(mark)!r})")
        eventually_sync(mark.with_suffix(".started").exists, within=20)
        run.process.send_signal(signal.SIGTERM)
        code, out, err = run.end()
    assert code == 0, (out, err)
    assert mark.read_text() == "done"
    assert_nothing_is_left(folder)


def test_a_second_ctrl_c_ends_it_at_once_and_the_job_is_kept(folder: Path):
    mark = folder / "mark"
    with contextlib.closing(Run(folder, "app:env")) as run:
        eventually_sync(lambda: "Ctrl-C stops" in "".join(run.out), within=30)
        enqueue(folder, f"app.slow.enqueue(600, {str(mark)!r})")
        eventually_sync(mark.with_suffix(".started").exists, within=20)
        run.process.send_signal(signal.SIGINT)
        eventually_sync(lambda: "Ctrl-C again" in "".join(run.out))
        run.process.send_signal(signal.SIGINT)
        code, out, err = run.end(within=15)
    assert code == 0, (out, err)
    assert "1 job still queued" in out
    assert_nothing_is_left(folder)


def test_a_part_that_does_not_end_is_killed_with_all_it_started(folder: Path):
    mark = folder / "mark"
    with contextlib.closing(Run(folder, "app:env")) as run:
        eventually_sync(lambda: "Ctrl-C stops" in "".join(run.out), within=30)
        enqueue(folder, f"app.slow.enqueue(600, {str(mark)!r})")
        eventually_sync(mark.with_suffix(".started").exists, within=20)
        (agent,) = [each for each in alive(folder) if "reuse_agent" in each.cmdline()]
        agent.suspend()
        for status in ("stopping: ", "stopping at once", ""):
            run.process.send_signal(signal.SIGINT)
            eventually_sync(partial(says, run, status))
        code, out, err = run.end(within=15)
    assert code == 0, (out, err)
    assert_nothing_is_left(folder)


def test_jobs_outlive_a_run_in_the_same_folder(folder: Path):
    script = (
        "import datetime as d\n"
        "print(app.add.override(delay=d.timedelta(seconds=1)).enqueue(1, 1).id)"
    )
    with contextlib.closing(Run(folder, "app:env", *client(script))) as run:
        code, out, err = run.end()
        assert code == 0, err
    job_id = out.strip()
    script = f"print(app.env.handle({job_id!r}).result(timeout=30))"
    with contextlib.closing(Run(folder, "app:env", *client(script))) as run:
        code, out, err = run.end()
    assert (code, out) == (0, "2\n"), err


def test_nothing_outlives_a_run_that_is_killed(folder: Path):
    with contextlib.closing(Run(folder, "app:env")) as run:
        eventually_sync(lambda: "Ctrl-C stops" in "".join(run.out), within=30)
        run.process.kill()
        run.end()
    assert_nothing_is_left(folder)


def test_the_death_of_the_scaler_ends_it_and_is_told_with_the_end_of_its_log(folder: Path):
    with contextlib.closing(Run(folder, "app:env")) as run:
        eventually_sync(lambda: "Ctrl-C stops" in "".join(run.out), within=30)
        (scaler,) = [each for each in alive(folder) if "scaler" in each.cmdline()]
        scaler.kill()
        code, _, err = run.end()
    assert code == 1
    assert "the scaler ended by SIGKILL" in err
    assert "scaler.log" in err
    assert_nothing_is_left(folder)


def test_two_runs_in_one_folder_are_refused(folder: Path):
    with contextlib.closing(Run(folder, "app:env")) as run:
        eventually_sync(lambda: "Ctrl-C stops" in "".join(run.out), within=30)
        second = reuse_queue(folder, "run", "app:env")
        assert second.returncode == 1
        assert f"process {run.process.pid}" in second.stderr
        run.process.send_signal(signal.SIGTERM)
        run.end()


def test_on_a_terminal_it_draws_a_screen_and_gives_it_back(folder: Path):
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "reuse_queue", "run", "app:env"],
        cwd=folder,
        env=environ() | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    shown = bytearray()
    reader = threading.Thread(target=_drain, args=(leader, shown))
    reader.start()
    try:
        eventually_sync(lambda: b"sums" in shown, within=30)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        os.close(leader)
    assert shown.index(b"\x1b[?1049h") < shown.index(b"ENVIRONMENT")
    assert shown.rindex(b"\x1b[?1049l") > shown.rindex(b"ENVIRONMENT")
    assert_nothing_is_left(folder)


def says(run: Run, text: str) -> bool:
    return text in "".join(run.out)


def enqueue(folder: Path, code: str) -> None:
    url = running_url(folder / ".reuse-queue")
    assert url is not None
    subprocess.run(
        [sys.executable, "-c", f"import app\n{code}"],
        cwd=folder,
        env=environ() | {"REUSE_QUEUE_REDIS_URL": url},
        check=True,
        timeout=30,
    )


def _drain(terminal: int, sink: bytearray) -> None:
    with contextlib.suppress(OSError):  # EIO: the other side is closed
        while True:
            sink += os.read(terminal, 65536)
