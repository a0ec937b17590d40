"""In CI no test is left out because something is missing that could be there."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from support import privileges
from support.documents import ROOT
from support.lacking import lacking, needs_module
from support.privileges import needs, withheld

# By hand: only for what no package brings to a machine.
SKIPS = {"tests/support/lacking.py", "tests/support/memory_group.py", "tests/support/privileges.py"}


@pytest.fixture(params=["in CI", "elsewhere"])
def outcome(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    """What becomes of a test that lacks something."""
    if request.param == "in CI":
        monkeypatch.setenv("CI", "true")
        return pytest.fail.Exception
    monkeypatch.delenv("CI", raising=False)
    return pytest.skip.Exception


def test_what_is_missing_fails_a_test_in_ci_and_skips_it_elsewhere(
    outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    ways: tuple[Callable[[], object], ...] = (
        lambda: lacking("a thing is not installed"),
        lambda: needs("no-such-program"),
        lambda: needs_module("no_such_module.part"),
        lambda: privileges.may("false"),
    )
    for missing in ways:
        with pytest.raises(outcome):
            missing()
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    with pytest.raises(outcome):
        needs(root=True)


@pytest.mark.parametrize(
    ("effective", "missing"),
    [
        ("000001ffffffffff", []),
        ("00000000a80425fb", ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]),  # root in a plain container
        ("00000000a80435fb", ["CAP_SYS_ADMIN"]),
    ],
)
def test_what_a_container_withholds_from_root_is_known(effective: str, missing: list[str]):
    assert withheld(f"Name:\tx\nCapPrm:\t0\nCapEff:\t{effective}\nCapBnd:\t0\n") == missing


def test_no_test_skips_by_a_way_of_its_own():
    own = re.compile(r"pytest\.skip\(|skipif|importorskip")
    here = Path(__file__).relative_to(ROOT).as_posix()
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
        if own.search(path.read_text(encoding="utf-8"))
    }
    assert found - {here} == SKIPS | {"tests/compat/test_policy_against_flyte.py"}
