"""What only root may do to a machine, undone by whoever did it.

Most of it takes more than root has in most containers. Where the kernel has taken that from root,
no package brings it, and the test is skipped even in CI; else see `lacking`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.lacking import lacking

# Bits of CapEff in /proc/self/status.
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}


def needs(*programs: str, root: bool = False) -> None:
    """Go on where these programs are there, and nothing keeps root from what it is asked for."""
    if root and os.geteuid() != 0:
        lacking("only root may do this to a machine")
    for program in programs:
        if shutil.which(program) is None:
            lacking(f"{program} is not installed")
    if root and (missing := withheld(Path("/proc/self/status").read_text())):
        pytest.skip(f"this machine's root has no {' and no '.join(missing)}: it is in a container")


def withheld(status: str) -> list[str]:
    """Return the capabilities that a process lacks, by its /proc/<pid>/status."""
    mask = next(int(line.split()[1], 16) for line in status.splitlines() if "CapEff" in line)
    return [name for name, bit in _CAPABILITIES.items() if not mask >> bit & 1]


def run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, (words, done.stderr)


def may(*words: str) -> None:
    """Run a command that a machine may refuse."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode != 0:
        lacking(f"not possible here: {' '.join(words)}: {done.stderr.strip()}")


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """Yield a folder that holds only so much."""
    needs("mount", root=True)
    folder.mkdir()
    may("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        run("umount", "--lazy", str(folder))


@dataclass(frozen=True)
class Elsewhere:
    """Another host's network, as a namespace."""

    name: str
    here: str
    """The address of this host, as it is seen from there."""

    @property
    def through(self) -> Sequence[str]:
        """The command that runs commands there."""
        return ("nsenter", f"--net=/run/netns/{self.name}")

    def cut(self) -> None:
        """Let no packet in or out, and tell nobody."""
        for chain in ("INPUT", "OUTPUT"):
            run(*self.through, "iptables", "-I", chain, "-j", "DROP")

    def heal(self) -> None:
        run(*self.through, "iptables", "-F")


@contextlib.contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Yield another host's network, connected with this one."""
    needs("ip", "iptables", "nsenter", root=True)
    number = os.getpid() % 250 + 1
    name, near, far = f"rq{os.getpid()}", f"rqn{os.getpid()}", f"rqf{os.getpid()}"
    made = Elsewhere(name, f"198.18.{number}.1")  # a net that is nobody's: for benchmarks
    may("ip", "netns", "add", name)
    try:
        may("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        run("ip", "addr", "add", f"{made.here}/30", "dev", near)
        run("ip", "link", "set", near, "up")
        run("ip", "-n", name, "addr", "add", f"198.18.{number}.2/30", "dev", far)
        run("ip", "-n", name, "link", "set", far, "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        may(*made.through, "iptables", "-L", "-n")
        yield made
    finally:
        # The pair of devices goes with the one that is in there.
        run("ip", "netns", "delete", name)
