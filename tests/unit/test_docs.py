"""What the documents say exists, and what exists is in the documents."""

import ast
import dataclasses
import inspect
import re
import shlex
import sys
import types
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import reuse_queue
from reuse_queue import ReusePolicy, TaskEnvironment, testing
from reuse_queue.broker.keys import Keys
from reuse_queue.cli import commands
from reuse_queue.options import TaskOptions
from reuse_queue.settings import _ALIASES, Settings
from support.documents import ROOT, blocks, command_lines, documents, parse, table

CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
EVERY_DOCUMENT = pytest.mark.parametrize(
    "path", documents(), ids=lambda path: str(path.relative_to(ROOT))
)


@EVERY_DOCUMENT
def test_every_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    missing = [each for each in targets if "://" not in each and not (path.parent / each).exists()]
    assert missing == []


@EVERY_DOCUMENT
def test_every_command_that_is_shown_is_one(path: Path) -> None:
    for line in command_lines(path.read_text(encoding="utf-8"), "reuse-queue"):
        parse(commands, shlex.split(line.replace("…", ""))[1:])


@EVERY_DOCUMENT
def test_every_word_of_dev_that_is_shown_is_one(path: Path) -> None:
    usage = (ROOT / "dev").read_text(encoding="utf-8")
    for line in command_lines(path.read_text(encoding="utf-8"), "./dev"):
        word = [*line.split(), "help"][1]
        assert re.search(rf"^{word}\)|^{word} \|", usage, re.MULTILINE), line


@EVERY_DOCUMENT
def test_every_python_block_is_python_and_imports_what_exists(path: Path) -> None:
    for block in blocks(path.read_text(encoding="utf-8"), "python"):
        compile(block, str(path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for names in re.findall(r"^from reuse_queue import (.+)$", block, re.MULTILINE):
            for name in names.split(", "):
                assert hasattr(reuse_queue, name), name


def test_every_decision_is_linked() -> None:
    architecture = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for decision in (ROOT / "docs/decisions").glob("*.md"):
        assert f"(decisions/{decision.name})" in architecture


def test_every_setting_is_described_with_its_default() -> None:
    described = {row[0]: row[1] for row in table(CONFIGURATION, "Settings")}
    expected = {}
    for each in dataclasses.fields(Settings):
        names = (f"REUSE_QUEUE_{each.name.upper()}", *_ALIASES.get(each.name, ()))
        default = each.default
        if default is dataclasses.MISSING:
            shown = "the host's name"
        elif isinstance(default, timedelta):
            shown = f"`{default.total_seconds():g}`"
        else:
            shown = f"`{default}`" if default else "none"
        expected[", ".join(f"`{name}`" for name in names)] = shown
    assert described == expected


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("The policy", [each.name for each in dataclasses.fields(ReusePolicy)]),
        ("The environment", [*inspect.signature(TaskEnvironment.__init__).parameters][1:]),
        ("A task", [each.name for each in dataclasses.fields(TaskOptions)]),
    ],
)
def test_every_option_is_described(heading: str, names: list[str]) -> None:
    described = [row[0].strip("`") for row in table(CONFIGURATION, heading)]
    assert sorted(described) == sorted(names)


def test_every_key_is_described() -> None:
    text = (ROOT / "docs/data-format.md").read_text(encoding="utf-8")
    for name, key in every_key():
        assert f"`{key}`" in text, f"{name} → {key}"


def test_it_is_said_of_every_key_how_long_it_lasts() -> None:
    text = (ROOT / "docs/data-format.md").read_text(encoding="utf-8")
    rows = table(text, "How long everything lasts")
    said = {word for what, _ in rows for word in re.split(r"[\s,]+", what.replace("`", ""))}
    assert all(bound for _, bound in rows)
    for name, key in every_key():
        # Nothing is kept of what goes over a channel.
        if not name.endswith("_channel"):
            assert said & set(short_forms(key)), f"{name} → {key}"


def short_forms(key: str) -> Iterator[str]:
    """Yield the ways in which a table may name a key."""
    own = key.removeprefix("reuse:{<env>}:")
    for each in (key, own):
        yield each
        yield re.sub(r"<\w+>(:<\w+>)*$", "…", each)
    kind = re.fullmatch(r"rq:(\w+):<env>|rq:job::?<id>:(\w+)", key)
    if kind:
        yield kind[1] or kind[2]


def every_key() -> Iterator[tuple[str, str]]:
    """Yield every function of Keys with a key that it returns."""
    words = {
        "env": "<env>",
        "job_id": "<id>",
        "execution": "<exec>",
        "host": "<host>",
        "box": "<box>",
        "token": "<token>",
    }
    keys = Keys()
    for name, method in inspect.getmembers(Keys, inspect.isfunction):
        if name.startswith("_"):
            continue
        for kind in ("wip", "finished", "failed", "deferred", "scheduled", "canceled", "ready"):
            values = {**words, "name": "<replica>", "kind": kind}
            wanted = [*inspect.signature(method).parameters][1:]
            key = method(keys, **{each: values[each] for each in wanted})
            # Some return several keys, or what keys start with.
            if isinstance(key, str) and not key.endswith(":"):
                yield name, key


async def test_the_readme_s_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    program = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")[0]
    app = types.ModuleType("app")
    vars(app)["Label"] = None  # its tasks are `...`
    monkeypatch.setitem(sys.modules, "app", app)
    with testing.inline() as jobs:
        code = compile(program, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        await eval(code, vars(app))
    assert [job.task for job in jobs] == ["app.classify"] * 5
