"""`jobs show --tree`: a job and what it has enqueued, within bounds."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result
from rich.console import Console

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.lease import Leases, new_token
from reuse_queue.broker.queue import JobQueue
from reuse_queue.cli import commands, kin
from reuse_queue.cli.access import Access
from reuse_queue.context import RunningJob, running
from reuse_queue.job import ClaimedJob, NewJob, Outcome, Terms, Verdict
from reuse_queue.serializer import serializer
from reuse_queue.settings import Settings
from support.site import Site

ERROR = """Traceback (most recent call last):
  File "app.py", line 3, in fetch
    raise ValueError("no such page: https://example.org/a/very/long/path/that/fits/no/line")
ValueError: no such page: https://example.org/a/very/long/path/that/fits/no/line
"""


class Family:
    """Jobs of two environments that enqueue each other."""

    def __init__(self, connection: Connection, raw: redis.Redis) -> None:
        self.run = connection.run
        self.site = Site(connection, raw)
        self.site.replica("r1")
        self.queue = JobQueue(connection.keys)
        self.connection = connection

    def enqueue(self, *ids: str, by: ClaimedJob | None = None, env: str = "app", **terms: Any):
        data = serializer("json").pack(f"shop.catalogue.{ids[0].rstrip('0123456789')}", (), {})
        like = Terms(description="", child=by is not None, **terms)
        new = [NewJob(id=each, data=data, terms=like) for each in ids]
        if by is None:
            self.run(self.queue.enqueue(env, new))
            return
        job = RunningJob(
            id=by.id, execution=by.execution, environment="app", replica="r1", run=by.run
        )
        with running(job):
            self.run(self.queue.enqueue(env, new))

    def claim(self, count: int = 1000) -> dict[str, ClaimedJob]:
        leases = Leases(self.connection.keys, "app", self.connection.settings)
        return {job.id: job for job in self.run(leases.claim("r1", count, new_token())).jobs}

    def end(self, job: ClaimedJob, verdict: Verdict = Verdict.FINISHED, error: str = "") -> None:
        self.site.finish(
            Outcome(job_id=job.id, execution=job.execution, verdict=verdict, error=error)
        )


@pytest.fixture
def family(connection: Connection, raw: redis.Redis) -> Family:
    """A root with thirty children, one of which failed and one of which has children."""
    made = Family(connection, raw)
    made.enqueue("root")
    root = made.claim()["root"]
    made.enqueue(*(f"fetch{n:02}" for n in range(30)), by=root)
    made.enqueue("index", by=root)
    claimed = made.claim()
    made.enqueue("thumbnail", by=claimed["index"], env="gpu")
    made.enqueue("report", by=claimed["index"], env="gpu", detached=True)
    made.enqueue("gone", by=claimed["index"])
    made.end(made.claim()["gone"])
    raw.delete("rq:job:gone")
    for n in range(30):
        failed = n == 3
        verdict = Verdict.FAILED if failed else Verdict.FINISHED
        made.end(claimed[f"fetch{n:02}"], verdict, ERROR if failed else "")
    return made


@pytest.fixture
def invoke(settings: Settings) -> Callable[..., Result]:
    def call(*words: str) -> Result:
        environ = {"REUSE_QUEUE_REDIS_URL": settings.redis_url}
        return CliRunner().invoke(commands, [*words], env=environ)

    return call


def test_a_piped_tree_is_whole_lines_with_what_failed_and_what_goes_on(
    family: Family, invoke: Callable[..., Result]
) -> None:
    lines = invoke("jobs", "show", "root", "--tree", "--width", "4").output.splitlines()
    shown = [" ".join(word for word in line.split() if not word.endswith("ms")) for line in lines]
    assert shown == [
        "started shop.catalogue.root in app root",
        "├── failed shop.catalogue.fetch fetch03",
        f"│ {ERROR.splitlines()[-1]}",
        "├── finished shop.catalogue.fetch fetch28",
        "├── finished shop.catalogue.fetch fetch29",
        "├── started shop.catalogue.index index",
        "│ ├── queued shop.catalogue.thumbnail in gpu thumbnail",
        "│ ├── queued shop.catalogue.report in gpu detached report",
        "│ └── … 1 expired",
        "└── … 27 more",
    ]


def test_a_drawn_tree_keeps_to_the_width_and_cuts_no_id(family: Family, settings: Settings) -> None:
    access = Access(settings)
    root = kin.tree(access, access.job("root"), 5, 4)
    access.close()
    console = Console(width=50)
    with console.capture() as captured:
        console.print(kin.drawn(root, datetime.now(UTC), 50))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= 50
    assert len(lines) == 10
    for name in ("root", "fetch03", "index", "thumbnail", "report"):
        assert any(line.rstrip().endswith(name) for line in lines), lines


@pytest.mark.parametrize("option", ["--depth", "--width"])
def test_options_of_a_tree_want_one(
    option: str, family: Family, invoke: Callable[..., Result]
) -> None:
    refused = invoke("jobs", "show", "root", option, "5")
    assert refused.exit_code == 2
    assert f"{option} is about a tree: add --tree" in refused.output
    assert invoke("jobs", "show", "root").exit_code == 0


def test_depth_and_the_number_of_jobs_are_bounded(
    family: Family, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(*words: str) -> Any:
        return json.loads(invoke("jobs", "show", "root", "--tree", "--json", *words).output)

    whole = shown("--width", "100")
    assert (len(whole["shown"]), whole["more"]) == (31, 0)
    index = whole["shown"][-1]
    assert (index["id"], index["parent"], index["children"]) == ("index", "root", 3)
    assert [each["environment"] for each in index["shown"]] == ["gpu", "gpu"]
    assert (index["more"], index["expired"]) == (0, 1)
    failed = next(each for each in whole["shown"] if each["status"] == "failed")
    assert failed["error"] == ERROR.splitlines()[-1]

    flat = shown("--width", "100", "--depth", "1")["shown"][-1]
    assert (flat["shown"], flat["more"]) == ([], 3)

    monkeypatch.setattr(kin, "_MOST", 6)
    few = shown("--width", "100")
    assert (len(few["shown"]), few["more"]) == (5, 26)


def test_a_job_without_children_is_a_tree_too(
    family: Family, invoke: Callable[..., Result]
) -> None:
    done = invoke("jobs", "show", "fetch00", "--tree")
    assert len(done.output.splitlines()) == 1
    assert done.exit_code == 0


def test_a_job_names_its_parent_and_counts_its_children(
    family: Family, invoke: Callable[..., Result]
) -> None:
    def fields(job_id: str) -> dict[str, str]:
        lines = invoke("jobs", "show", job_id).output.splitlines()
        return dict(re.split(r"  +", line, maxsplit=1) for line in lines)

    assert fields("root")["children"] == "31"
    assert "parent" not in fields("root")
    assert fields("index")["parent"] == "root"
    assert fields("report")["parent"] == "index, detached"
