"""The short form of chaos: fifteen faults upon a whole fleet, and every promise is kept."""

import os
import re
import subprocess
import sys

import pytest

from chaos.plan import short
from support.documents import ROOT

FEWEST_EXECUTIONS = 300
"""About a third of what a machine of two processors does."""


@pytest.mark.timeout(180)  # a third of a minute; the rest is the patience of a loaded machine
def test_every_promise_is_kept_while_everything_that_can_die_dies():
    done = subprocess.run(
        [sys.executable, "-m", "chaos", "--short"],
        cwd=ROOT / "tests",
        env=os.environ | {"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    report = done.stdout
    assert done.returncode == 0, report + done.stderr
    assert "every promise was kept" in report
    # There was something to keep them against.
    assert number("{} faults injected", report) == len(short(5.0)), report
    assert number("{} executions", report) >= FEWEST_EXECUTIONS, report
    assert number("| SIGKILL of a replica | {} |", report) > 0, report
    assert number("| SIGKILL of an agent, and with it its host's replicas | {} |", report) > 0


def number(where: str, report: str) -> int:
    """Return the number that stands in a report where there is `{}`."""
    found = re.search(re.escape(where).replace(r"\{\}", "([0-9,]+)"), report)
    assert found is not None, f"no {where!r} in {report}"
    return int(found[1].replace(",", ""))
