"""Fixtures: a fleet of real processes, with short times."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reuse_queue.settings import Settings
from support.fleet_processes import FleetProcesses


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(
        settings,
        lease=timedelta(seconds=5),
        drain_grace=timedelta(seconds=20),
        kill_grace=timedelta(seconds=0.3),
    )


@pytest.fixture
def fleet(settings: Settings, tmp_path: Path) -> Iterator[FleetProcesses]:
    made = FleetProcesses(settings, tmp_path)
    yield made
    made.close()
