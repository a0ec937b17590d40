"""Memory: whether the kernel has killed for want of it, by its own counters."""

from __future__ import annotations

from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_VMSTAT = Path("/proc/vmstat")
_KILLS = "oom_kill"


class OutOfMemory:
    """Tells a kernel's kill for want of memory from anybody else's.

    Replicas are in their agent's control group. Its counter rises with each such kill in it;
    where there is none to read, the whole machine's counter leaves a doubt.
    """

    def __init__(self, group: Path | None = None, machine: Path = _VMSTAT) -> None:
        found = group or _counter_of_mine()
        self._group = found if found and found.exists() else None
        self._machine = machine
        self._group_before = self._in_group()
        self._machine_before = _count(self._machine)

    def killed(self) -> bool | None:
        """Return whether one kill since the last call was the kernel's; None: perhaps."""
        group, machine = self._in_group(), _count(self._machine)
        rose = machine > self._machine_before
        self._machine_before = machine
        if group > self._group_before:
            # One kill at a time: when several died, each asks once.
            self._group_before += 1
            return True
        return None if rose and self._group is None else False

    def _in_group(self) -> int:
        return _count(self._group) if self._group else 0


def _counter_of_mine() -> Path | None:
    """Return the file with this process's control group's counter, of version 2 or 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        if not controllers:
            # In a container the group's own root is what is mounted.
            found += [_CGROUPS / inside / "memory.events", _CGROUPS / "memory.events"]
        elif "memory" in controllers.split(","):
            tree = _CGROUPS / "memory"
            found += [tree / inside / "memory.oom_control", tree / "memory.oom_control"]
    return next((path for path in found if path.exists()), None)


def _count(path: Path) -> int:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    values = dict(line.split(" ", 1) for line in lines if " " in line)
    return int(values.get(_KILLS, 0))
