"""The tests that documents name are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_every_test_that_a_document_names_is_there(path: Path):
    for file, name in NAMED.findall(path.read_text(encoding="utf-8")):
        source = (ROOT / file).read_text(encoding="utf-8")
        assert f"def {name}(" in source, f"{file}::{name}"


def test_each_bug_that_hurts_others_has_its_test():
    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    section = text.split("## Bugs that hurt others")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 15
    assert all(NAMED.search(row) for row in rows)
