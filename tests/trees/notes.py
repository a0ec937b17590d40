"""What the jobs of a tree have noted, and what must be true of it: no I/O, no Redis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from support.call_graphs import Node


@dataclass
class Run:
    """One begin of a job."""

    job_id: str
    pid: int
    after_heard: bool
    """Its parent had its result already."""


@dataclass
class Notes:
    """The ledger of one tree, by the paths of its calls."""

    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    ends: set[str] = field(default_factory=set)
    struck: set[int] = field(default_factory=set)
    """Processes that something was done to."""

    @property
    def begins(self) -> list[Run]:
        """All begins, in no order."""
        return [run for runs in self.runs.values() for run in runs]


def read(lines: Iterable[str], root: str) -> Notes:
    """Return what was noted of one tree, by the path of its root."""
    found, heard = Notes(), set[str]()
    for kind, *words in map(str.split, lines):
        if kind == "struck":
            found.struck.add(int(words[0]))
        elif words[0].partition(".")[0] != root:
            continue
        elif kind == "begin":
            path, job_id, pid = words
            found.runs[path].append(Run(job_id, int(pid), path in heard))
        elif kind == "end":
            found.ends.add(words[0])
        else:
            heard.add(words[0])
    return found


def paths(node: Node, path: str) -> dict[str, Node]:
    """Return the calls of a tree by their paths."""
    found = {path: node}
    for at, each in enumerate(node.children):
        found |= paths(each, f"{path}.{at}")
    for at, each in enumerate(node.left):
        found |= paths(each, f"{path}.left{at}")
    return found


def violations(notes: Notes, tree: dict[str, Node]) -> list[str]:
    """Return what is wrong with the runs of a tree whose every job has ended."""
    wrong = [f"{path} never ran to its end" for path in tree if path not in notes.ends]
    for path, runs in notes.runs.items():
        if path not in tree:
            wrong.append(f"{path} was never called")
        if len({run.job_id for run in runs}) > 1:
            wrong.append(f"{path} is several jobs: {[run.job_id for run in runs]}")
        for before, run in pairwise(runs):
            if run.after_heard:
                wrong.append(f"{path} ran again although its parent had its result")
            elif before.pid not in notes.struck:
                wrong.append(f"{path} ran again although nothing had happened to {before.pid}")
    return wrong
