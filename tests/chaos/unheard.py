"""Jobs that nobody was told of: as many as enqueues without an answer may have written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from chaos.excuses import Excuse
from chaos.found import Found
from chaos.history import History

_UNKNOWN = "unknown"


def unheard(history: History, found: Found, excuses: Sequence[Excuse]) -> Iterator[str]:
    """Yield, in words, where there are more jobs than were enqueued."""
    by_parent: dict[str, list[str]] = defaultdict(list)
    for job, there in found.jobs.items():
        story = history.stories.get(job)
        if story is None or story.accepted is None:
            by_parent[there.parent].append(job)
    yield from _of_the_application(history, by_parent.pop("", []))
    for parent, jobs in by_parent.items():
        most = _most_children(history, parent) if _cut_off(history, parent, excuses) else 0
        if len(jobs) > most:
            yield f"{len(jobs)} children of job {parent} that it never heard of; {most} may be"


def _of_the_application(history: History, jobs: list[str]) -> Iterator[str]:
    most: Counter[str] = Counter()
    for each in history.unsure:
        if not each.parent:
            most[each.kind] += each.jobs
    kinds = Counter(_kind(history, job) for job in jobs)
    for kind in kinds.keys() - {_UNKNOWN}:
        if kinds[kind] > most[kind]:
            yield f"{kinds[kind]} {kind} jobs that nobody was told of; {most[kind]} may be"
    if len(jobs) > most.total():
        yield f"{len(jobs)} jobs that nobody was told of, e.g. {jobs[0]}; {most.total()} may be"


def _kind(history: History, job: str) -> str:
    """Return what a job is, which only its runs tell."""
    story = history.stories.get(job)
    return story.kind if story else _UNKNOWN


def _most_children(history: History, parent: str) -> int:
    """Return how many a parent may not know of: its second run finds those of its first."""
    return max((each.jobs for each in history.unsure if each.parent == parent), default=0)


def _cut_off(history: History, parent: str, excuses: Sequence[Excuse]) -> bool:
    """Return whether a fault kept a parent from hearing of its children, to this day."""
    story = history.stories.get(parent)
    if story is None or any(run.how == "returned" for run in story.runs):
        return False
    return any(each.covers(run) for run in story.runs for each in excuses)
