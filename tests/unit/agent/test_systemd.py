"""The unit files say what systemd and the programs understand."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reuse_queue.cli import commands
from reuse_queue.settings import Settings
from support.documents import ROOT, parse
from support.lacking import lacking

UNITS = ROOT / "workers/systemd"
NAMES = ("reuse-queue-agent", "reuse-queue-scaler")


def values(name: str) -> dict[str, str]:
    lines = (UNITS / f"{name}.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and line[0] not in "#[")


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_a_command_that_is_one(name: str) -> None:
    program, *words = values(name)["ExecStart"].split()
    assert Path(program).name == "reuse-queue"
    parse(commands, [word.replace("$TARGETS", "app:env") for word in words])


def test_an_agent_has_the_time_to_drain_before_it_is_killed() -> None:
    settings = Settings()
    needs = settings.drain_grace + settings.kill_grace
    assert int(values("reuse-queue-agent")["TimeoutStopSec"]) > needs.total_seconds() + 10


@pytest.mark.parametrize("name", NAMES)
def test_systemd_understands_it_and_calls_it_safe(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        lacking("systemd-analyze is not installed (Debian: apt-get install systemd)")
    text = (UNITS / f"{name}.service").read_text()
    program = values(name)["ExecStart"].split()[0]
    unit = tmp_path / f"{name}.service"
    unit.write_text(text.replace(program, sys.executable))
    verified = analyze("verify", "--man=no", str(unit))
    assert [line for line in verified.stderr.splitlines() if name in line] == []
    rated = analyze("security", "--offline=true", "--threshold=25", str(unit))
    assert rated.returncode == 0, rated.stdout


def analyze(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *words], check=False, capture_output=True, text=True)
