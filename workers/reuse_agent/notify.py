"""Notify: tell systemd how this service is, where it asks (Type=notify)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str] | None = None) -> None:
    """Send one state, such as READY=1, to whoever NOTIFY_SOCKET names; to nobody without it."""
    path = (os.environ if environ is None else environ).get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to,
    ):
        to.connect(f"\0{path[1:]}" if path[0] == "@" else path)
        to.sendall(state.encode())
