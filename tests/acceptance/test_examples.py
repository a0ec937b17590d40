"""The examples, run as their first lines say."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from examples import web
from reuse_queue.embedded import running_url
from support.documents import ROOT
from support.eventually import eventually, eventually_sync

pytestmark = pytest.mark.timeout(90)


def run(folder: Path, target: str, *command: str) -> list[str]:
    words = ["run", target, "--data", str(folder), "--view", "none"]
    return [sys.executable, "-m", "reuse_queue", *words, *(["--", *command] if command else [])]


def output(folder: Path, target: str, *command: str) -> str:
    done = subprocess.run(
        run(folder, target, *command),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hello_greets_everyone_from_a_replica(tmp_path: Path) -> None:
    said = output(
        tmp_path, "examples.hello:env", sys.executable, "-m", "examples.hello", "Ada", "Bo"
    )
    lines = [line.rsplit(" ", 1) for line in said.splitlines()]
    assert [line for line, _ in lines] == ["Hello Ada, from process", "Hello Bo, from process"]
    assert all(int(pid) != os.getpid() for _, pid in lines)


def test_file_types_are_told_by_what_is_in_the_files(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    source = (ROOT / "examples/file_types.py").read_bytes()
    (files / "a.png").write_bytes(source)
    (files / "b.txt").write_bytes(source)
    (files / "c").write_text(json.dumps({"name": "reuse", "numbers": [*range(200)]}))
    program = [sys.executable, "-m", "examples.file_types", str(files), "--no-stay"]
    said = output(tmp_path / "data", "examples.file_types:env", *program)
    assert "    2  python       Python source\n    1  json         JSON document\n" in said
    assert "3 files in" in said
    assert "times as fast" in said


def test_words_are_counted_by_a_tree_of_jobs_in_a_single_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLICAS", "1")
    files = tmp_path / "files"
    for number in range(70):
        path = files / str(number % 3) / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"many words, MANY files\n{'Über ' * number}a 42\n", encoding="utf-8")
    (files / "picture.png").write_bytes(b"\x89PNG\xff")
    said = output(
        *(tmp_path / "data", "examples.mapreduce:env"),
        *(sys.executable, "-m", "examples.mapreduce", str(files)),
    )
    # One for all files, 4 for a quarter of them each, 16 for a quarter of that, and 71.
    assert said.splitlines()[0].startswith("70 text files of 71 under ")
    assert "    2,415  über\n      140  many\n       70  files\n       70  words\n" in said
    assert "    2,695  words, 4 different ones\nin 92 jobs, 4 levels deep, in " in said


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[str]:
    """The URL of a Redis on which replicas of the web example's environment run."""
    words = run(tmp_path, "examples.web:env")
    with subprocess.Popen(words, cwd=ROOT, start_new_session=True) as process:
        try:
            url = eventually_sync(lambda: running_url(tmp_path), within=20)
            assert url
            yield url
            process.terminate()
            assert process.wait(30) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(web.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://reports") as client:
        yield client
    await web.env.connection.aclose()


async def test_a_report_is_ordered_and_there_a_little_later(
    fleet: str, client: httpx.AsyncClient
) -> None:
    web.env.bind(fleet)
    ordered = await client.post("/reports", params={"customer": 8})
    assert ordered.status_code == 202

    async def made() -> Any:
        seen = (await client.get(f"/reports/{ordered.json()['job']}")).json()
        return seen["report"]

    assert (await eventually(made, within=20))["total"] == 78.0
    now = await client.get("/reports/now", params={"customer": 8})
    assert now.json()["report"]["total"] == 78.0
    assert (await client.get("/reports/no-such-job")).status_code == 404


async def test_every_key_and_field_of_a_fleet_at_work_is_in_the_documents(
    fleet: str, client: httpx.AsyncClient
) -> None:
    web.env.bind(fleet)
    await client.get("/reports/now", params={"customer": 8})
    text = (ROOT / "docs/data-format.md").read_text(encoding="utf-8")
    known = [
        re.compile(re.sub("<[a-z]+>", "[^:]+", re.escape(each).replace("\\-", "-")))
        for each in re.findall("`((?:rq|reuse):[^`]+)`", text)
    ]
    fields = set(re.findall("`([a-z_]+)`", text))
    with redis.Redis.from_url(fleet, decode_responses=True) as raw:
        for key in raw.scan_iter():
            assert any(pattern.fullmatch(key) for pattern in known), key
            if key.startswith("reuse:") and raw.type(key) == "hash":
                assert set(raw.hkeys(key)) <= fields, key


async def test_an_unreachable_queue_is_a_503(tmp_path: Path, client: httpx.AsyncClient) -> None:
    web.env.bind(f"unix://{tmp_path}/none.sock")
    answer = await client.post("/reports", params={"customer": 8})
    assert answer.status_code == 503
