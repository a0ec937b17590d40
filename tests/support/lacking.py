"""What a test needs and this machine has not: skipped where people work, a failure in CI."""

from __future__ import annotations

import importlib.util
import os
from typing import NoReturn

import pytest


def lacking(what: str) -> NoReturn:
    """Skip the test, saying why; with CI set fail, for `.ci/run` installs all that tests need."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must not do without this test: {what}")
    pytest.skip(what)


def needs_module(name: str) -> None:
    """Go on if a module can be imported."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        lacking(f"{name} is not installed")
