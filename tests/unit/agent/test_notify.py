"""What systemd is told."""

import socket
from pathlib import Path

import pytest

from reuse_agent.notify import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_a_state_reaches_the_socket_that_systemd_names(tmp_path: Path, abstract: bool):
    path = f"reuse-queue-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{path}" if abstract else path)
        notify("READY=1", {"NOTIFY_SOCKET": f"@{path}" if abstract else path})
        assert systemd.recv(64) == b"READY=1"


@pytest.mark.parametrize("path", ["", "vsock:2:1", "/nowhere/notify"])
def test_without_one_nothing_happens(path: str):
    notify("READY=1", {"NOTIFY_SOCKET": path})
