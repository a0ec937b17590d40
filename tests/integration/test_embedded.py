"""The embedded server, on every program that is installed here."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import redis

from reuse_queue import TaskEnvironment, embedded
from reuse_queue.embedded import DATA_FOLDER, EmbeddedRedis, Program, identified, running_url
from reuse_queue.errors import FolderInUse, RedisNotInstalled, RedisUnavailable
from reuse_queue.settings import DEFAULT_REDIS_URL
from support.eventually import eventually_sync
from support.lacking import lacking
from support.server import programs


@pytest.fixture(params=[*programs()] or [""])
def program(request: pytest.FixtureRequest) -> Program:
    if not request.param:
        lacking("no Redis server here")
    found = identified(programs()[request.param])
    assert found is not None
    return found


def client(server: EmbeddedRedis) -> redis.Redis:
    return redis.Redis.from_url(server.url)


@pytest.mark.parametrize("others", ["may write to it", "own it"])
def test_a_folder_that_others_could_have_planted_is_not_followed(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: str
):
    folder = tmp_path / "data"
    with EmbeddedRedis(folder, program) as server:
        assert running_url(folder) == server.url
        if others == "own it":
            me = os.geteuid()
            monkeypatch.setattr(os, "geteuid", lambda: me + 1)
        else:
            folder.chmod(0o777)

        assert running_url(folder) is None


def test_it_answers_keeps_jobs_safe_and_is_closed_to_others(program: Program, tmp_path: Path):
    with EmbeddedRedis(tmp_path / "data", program) as server, client(server) as raw:
        assert raw.ping()
        told = raw.config_get("appendonly", "appendfsync", "maxmemory-policy", "port")
        assert told == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "port": "0",
        }
        home = tmp_path / "data" / "redis"
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "redis.sock").stat().st_mode) == 0o700
        assert running_url(tmp_path / "data") == server.url


def test_what_was_written_is_there_after_a_restart(program: Program, tmp_path: Path):
    with EmbeddedRedis(tmp_path, program) as server, client(server) as raw:
        raw.rpush("jobs", "one", "two")
    with EmbeddedRedis(tmp_path, program) as server, client(server) as raw:
        assert raw.lrange("jobs", 0, -1) == [b"one", b"two"]


def test_it_leaves_no_process_no_socket_and_no_url_behind(program: Program, tmp_path: Path):
    with EmbeddedRedis(tmp_path, program) as server:
        pid = server.pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not (tmp_path / "redis" / "redis.sock").exists()
    assert running_url(tmp_path) is None


def test_a_long_or_odd_path_of_the_folder_does_no_harm(program: Program, tmp_path: Path):
    folder = tmp_path / "with space, ü and 100%?" / ("x" * 120)
    with EmbeddedRedis(folder, program) as server, client(server) as raw:
        assert raw.ping()
        assert running_url(folder) == server.url
        moved = Path(raw.config_get("unixsocket")["unixsocket"])
        assert not moved.is_relative_to(folder)
        assert stat.S_IMODE(moved.parent.stat().st_mode) == 0o700
    assert not moved.parent.exists()
    with EmbeddedRedis(folder.parent, program) as server, client(server) as raw:
        assert raw.ping()


def test_two_servers_in_one_folder_are_refused_with_the_owner_named(
    program: Program, tmp_path: Path
):
    with (
        EmbeddedRedis(tmp_path, program),
        pytest.raises(FolderInUse, match=f"process {os.getpid()}.*--data"),
        EmbeddedRedis(tmp_path, program),
    ):
        pass
    with EmbeddedRedis(tmp_path, program) as server:
        assert server.running


def test_a_server_that_cannot_start_says_what_it_printed(program: Program, tmp_path: Path):
    with EmbeddedRedis(tmp_path, program):
        pass
    for part in (tmp_path / "redis" / "appendonlydir").glob("*.manifest"):
        part.write_text("nonsense\n")
    with (
        pytest.raises(RedisUnavailable, match=r"(?is)did not start:.*manifest"),
        EmbeddedRedis(tmp_path, program),
    ):
        pass
    # and the folder is free again
    for part in (tmp_path / "redis" / "appendonlydir").glob("*"):
        part.unlink()
    with EmbeddedRedis(tmp_path, program) as server:
        assert server.running


def test_it_dies_with_a_starter_that_is_killed_and_frees_the_folder(
    program: Program, tmp_path: Path
):
    starter = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from reuse_queue.embedded import EmbeddedRedis, identified
        with EmbeddedRedis(Path({str(tmp_path)!r}), identified({program.path!r})) as server:
            print(server.pid, flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        with redis.Redis.from_url((tmp_path / "url").read_text()) as raw:
            raw.set("kept", "1")
        # The server holds the lock too, so the folder is not free before it is gone.
        files = [each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir()]
        assert tmp_path / "redis" / "lock" in files
        process.send_signal(signal.SIGKILL)
    eventually_sync(lambda: _gone(pid), what="the server's end")
    with EmbeddedRedis(tmp_path, program) as server, client(server) as raw:
        assert raw.get("kept") == b"1"


def test_a_server_on_path_serves_where_the_wheel_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _fake(tmp_path / "redis-server", "Redis server v=7.0.15 sha=0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded, "_from_wheel", lambda: None)
    assert embedded.installed() == Program(str(tmp_path / "redis-server"), "Redis", (7, 0))


def test_an_old_server_is_passed_over_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _fake(tmp_path / "redis-server", "Redis server v=6.0.16 sha=0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded, "_from_wheel", lambda: None)
    with pytest.raises(RedisNotInstalled, match=r"Redis 6\.0: too old.*reuse-queue\[embedded\]"):
        embedded.installed()


def _fake(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


def test_an_application_in_the_folder_of_a_run_finds_its_redis(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for variable in ("REUSE_QUEUE_REDIS_URL", "REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    with EmbeddedRedis(DATA_FOLDER, program) as server:
        assert TaskEnvironment(name="here").connection.settings.redis_url == server.url
        monkeypatch.setenv("REDIS_URL", "redis://elsewhere")
        named = TaskEnvironment(name="named").connection.settings
    assert named.redis_url == "redis://elsewhere"
    monkeypatch.delenv("REDIS_URL")
    after = TaskEnvironment(name="after").connection.settings
    assert after.redis_url == DEFAULT_REDIS_URL
