"""Fixtures: a fleet of real processes, with leases so short that a test can outlast them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reuse_queue.settings import Settings
from support.fleet_processes import FleetProcesses


@pytest.fixture
def short_leased(settings: Settings, tmp_path: Path) -> Iterator[FleetProcesses]:
    made = FleetProcesses(
        replace(
            settings,
            lease=timedelta(seconds=3),
            heartbeat=timedelta(seconds=0.5),
            drain_grace=timedelta(seconds=10),
            kill_grace=timedelta(seconds=0.3),
        ),
        tmp_path,
    )
    yield made
    made.close()
