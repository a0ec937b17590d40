"""The short form of chaos: twelve faults upon a whole fleet, and every promise is kept."""

import os
import subprocess
import sys

import pytest

from support.documents import ROOT


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
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every promise was kept" in done.stdout
