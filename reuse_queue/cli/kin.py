"""Kin: a job, what it has enqueued, and what that has, as a tree for people or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from reuse_queue.broker.together import together
from reuse_queue.cli import shapes
from reuse_queue.cli.access import Access
from reuse_queue.cli.shapes import Shape
from reuse_queue.cli.tables import STYLES, readable
from reuse_queue.cli.words import took
from reuse_queue.errors import TaskFailed
from reuse_queue.job import Job, JobStatus

_LOOKED = 1000
"""Children of one job among which those to be shown are chosen: the latest."""
_MOST = 500
"""Jobs in one tree."""
_INDENT = 4
_SHORTEST = 6
_FAILED = (JobStatus.FAILED, JobStatus.STOPPED)
_DULL = (JobStatus.CANCELED, JobStatus.FINISHED)


@dataclass(slots=True)
class Node:
    """A job in the tree."""

    job: Job
    error: str = ""
    """What it failed by, in one line."""
    children: list[Node] = field(default_factory=list)
    """Those that are shown, in their order."""
    more: int = 0
    """How many others it has."""
    expired: int = 0
    """How many of its children have no record any more."""

    def all(self) -> Iterator[Node]:
        """Yield it and all below."""
        yield self
        for child in self.children:
            yield from child.all()


def tree(access: Access, job: Job, depth: int, width: int) -> Node:
    """Return a job with its children, `depth` levels of them, at most `width` of each job.

    Where there are more, those that failed are shown first, then those that go on, then the newest.
    """
    root = Node(job, more=job.children)
    level, count = [root], 1
    for _ in range(depth):
        for node in level:
            if node.job.children:
                _open(access, node, min(width, _MOST - count))
                count += len(node.children)
        level = [child for node in level for child in node.children]
    failed = [node for node in root.all() if node.job.status in _FAILED]
    endings = access.run(together([access.queue.result(node.job.id) for node in failed]))
    for node, (_, record) in zip(failed, endings, strict=True):
        node.error = _line(node.job.id, record.error) if record else ""
    return root


def shape(node: Node) -> Shape:
    """Return a tree as `jobs show --tree --json` has it.

    All that `jobs list --json` has of a job, and: error (one line, or null), shown (its children,
    each in this shape), more (how many others it has), expired (how many have no record any more).
    """
    return shapes.job(node.job) | {
        "error": node.error or None,
        "shown": [shape(child) for child in node.children],
        "more": node.more,
        "expired": node.expired,
    }


def print_tree(root: Node, now: datetime) -> None:
    """Print a tree: cut to the terminal's width, or whole where it is piped."""
    if sys.stdout.isatty():
        console = Console()
        console.print(drawn(root, now, console.width))
    else:
        wide = Console(width=100_000)
        with wide.capture() as captured:
            wide.print(drawn(root, now, None))
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def drawn(root: Node, now: datetime, width: int | None) -> Tree:
    """Return a tree as rich draws it, in so many columns; None: in as many as it takes."""
    return _grown(Tree(_label(root, "", now, width), guide_style="dim"), root, now, width)


# -------------------------------------------------------------------------------------------


def _open(access: Access, node: Node, most: int) -> None:
    """Find a job's children, and choose those to be shown."""
    job = node.job
    ids = access.run(access.queue.children(job.environment, job.id, -_LOOKED, _LOOKED))
    found = access.run(access.queue.fetch_many(ids)) if ids else []
    node.children = [Node(each, more=each.children) for each in _chosen(found, most)]
    node.expired = len(ids) - len(found)
    total = job.children if len(ids) == _LOOKED else len(ids)
    node.more = max(0, total - node.expired - len(node.children))


def _chosen(jobs: Sequence[Job], most: int) -> list[Job]:
    ranked = sorted(range(len(jobs)), key=lambda place: (_rank(jobs[place]), -place))
    return [jobs[place] for place in sorted(ranked[:most])]


def _rank(job: Job) -> int:
    if job.status in _FAILED:
        return 0
    return 2 if job.status in _DULL else 1


def _line(job_id: str, error: str) -> str:
    """Return what names an error, without the traceback."""
    return str(TaskFailed(job_id, error)).split("\n")[0].removeprefix(f"job {job_id} failed: ")


def _grown(branch: Tree, node: Node, now: datetime, width: int | None) -> Tree:
    room = None if width is None else max(width - _INDENT, _INDENT)
    for child in node.children:
        _grown(branch.add(_label(child, node.job.environment, now, room)), child, now, room)
    rest = [f"{node.more:,} more"] if node.more else []
    rest += [f"{node.expired:,} expired"] if node.expired else []
    if rest:
        branch.add(Text(f"… {', '.join(rest)}", "dim"))
    return branch


def _label(node: Node, around: str, now: datetime, room: int | None) -> Text:
    """Return a job's line, and that of its error; its environment where it is another one."""
    job = node.job
    after = [f"in {job.environment}"] if job.environment != around else []
    after += ["detached"] if job.detached else []
    after += [took(job, now)] if took(job, now) else []
    taken = sum(len(word) + 1 for word in (job.status.value, *after, job.id))
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(job.status.value, STYLES.get(job.status.value, ""))
    text.append(f" {_task(job, None if room is None else room - taken)}", "bold")
    text.append(f" {' '.join(after)}" if after else "")
    text.append(f" {job.id}", "dim")
    if node.error:
        error = Text(readable(node.error), "red")
        if room is not None:
            error.truncate(room, overflow="ellipsis")
        text.append("\n").append(error)
    return text


def _task(job: Job, room: int | None) -> str:
    """Return the task's name: without its module, or cut, where there is too little room."""
    name = readable(job.task or job.description)
    if room is None or len(name) < room:
        return name
    short, room = name.rpartition(".")[2], max(room - 1, _SHORTEST)
    return short if len(short) <= room else f"{short[: room - 1]}…"
