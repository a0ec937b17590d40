"""The report of a run, in Markdown."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator

from chaos.checker import CALM_S
from chaos.excuses import Excuse, excuses
from chaos.history import Fault, History, Story
from chaos.kinds import KINDS
from chaos.runner import Outcome

_MOST_SHOWN = 40
_BY_JOBS = {
    "segfault": "a job's segfault",
    "poison": "a job's os._exit",
    "stubborn": "a job that does not give way, and the kill of its replica",
    "leak": "a job that takes all memory",
}


def report(outcome: Outcome, *, seed: int, server: str, lease: float) -> str:
    """Return the report: what ran, what was done to it, what was run again, the verdict."""
    return "\n".join(_lines(outcome, seed, server, lease)) + "\n"


def _lines(outcome: Outcome, seed: int, server: str, lease: float) -> Iterator[str]:
    history, violations = outcome.history, outcome.violations
    stories = history.stories.values()
    runs = sum(len(story.runs) for story in stories)
    verdict = "every promise was kept" if not violations else f"{len(violations)} broken promises"
    yield f"Seed {seed}, {outcome.seconds:.0f} s under fire, {server}, leases of {lease:g} s."
    yield ""
    accepted = sum(story.accepted is not None for story in stories)
    yield (
        f"{accepted:,} jobs accepted, {runs:,} executions, {len(history.faults)} faults injected"
        f"{_without(outcome.dropped)}. **The checker's verdict: {verdict}.**"
    )
    yield from _problems(outcome)
    yield ""
    yield from _jobs(outcome)
    yield ""
    yield from _faults(history, lease)
    yield ""
    yield (
        f"All jobs had ended {outcome.calm_s:.1f} s after the last fault was healed and the last"
        f" job enqueued; {lease + CALM_S:g} s are allowed."
    )


def _without(dropped: list[str]) -> str:
    return f" ({len(dropped)} found nobody: {', '.join(dropped)})" if dropped else ""


def _problems(outcome: Outcome) -> Iterator[str]:
    shown = [
        *map(str, outcome.violations),
        *(f"a process is left: {each}" for each in outcome.left),
    ]
    if shown:
        yield ""
    for text in shown[:_MOST_SHOWN]:
        yield f"- {text}"


def _jobs(outcome: Outcome) -> Iterator[str]:
    yield "| jobs | accepted | finished | failed | canceled | executions | run again |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    kinds = defaultdict(list)
    for story in outcome.history.stories.values():
        kinds[story.kind].append(story)
    for kind in sorted(kinds, key=list(KINDS).index):
        stories = kinds[kind]
        ends = Counter(
            outcome.found.jobs[story.job].status
            for story in stories
            if story.job in outcome.found.jobs
        )
        runs = sum(len(story.runs) for story in stories)
        again = sum(_repeated(outcome.history, story.job) for story in stories)
        yield (
            f"| {kind} | {sum(story.accepted is not None for story in stories):,} "
            f"| {ends['finished']:,} | {ends['failed']:,} | {ends['canceled']:,} "
            f"| {runs:,} | {again:,} |"
        )


def _repeated(history: History, job: str) -> int:
    """Return how many of a job's runs were followed by another though they had not failed."""
    return sum(run.how != "raised" for run in history.stories[job].runs[:-1])


def _faults(history: History, lease: float) -> Iterator[str]:
    yield "| fault | times | runs lost to it | first of them again after, median | longest |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    by_name: dict[str, list[Fault]] = defaultdict(list)
    for fault in history.faults:
        by_name[fault.name].append(fault)
    again = _again(history, lease)
    lost = _lost(history, lease)
    for name, faults in sorted(by_name.items()):
        yield _row(name, len(faults), lost[name], again[name])
    for kind, text in _BY_JOBS.items():
        times = sum(_hurt(story) for story in history.stories.values() if story.kind == kind)
        yield _row(text, times, lost[kind], again[kind])


def _hurt(story: Story) -> int:
    """Return how often a job has done to its replica what its kind does."""
    if story.rules.stubborn:
        return min(1, len(story.runs))
    return sum(story.rules.bursts or not run.how for run in story.runs)


def _row(name: str, times: int, lost: int, waits: list[float]) -> str:
    median = f"{statistics.median(waits):.2f} s" if waits else "-"
    longest = f"{max(waits):.2f} s" if waits else "-"
    return f"| {name} | {times:,} | {lost:,} | {median} | {longest} |"


def _lost(history: History, lease: float) -> Counter[str]:
    return Counter(excuse.fault for excuse, _ in _explained(history, lease))


def _again(history: History, lease: float) -> dict[str, list[float]]:
    """Return, by fault, how long after each injection the first of the lost jobs ran again."""
    first: dict[Excuse, float] = {}
    for excuse, again in _explained(history, lease):
        first[excuse] = min(again, first.get(excuse, again))
    waits = defaultdict(list)
    for excuse, again in first.items():
        waits[excuse.fault].append(again - excuse.since)
    return waits


def _explained(history: History, lease: float) -> Iterator[tuple[Excuse, float]]:
    """Yield each second run with the latest fault that explains it."""
    known = excuses(history, lease)
    for story in history.stories.values():
        for run, following in zip(story.runs, story.runs[1:], strict=False):
            covering = [each for each in known if each.covers(run, following)]
            if covering and run.how != "raised":
                yield max(covering, key=lambda each: each.since), following.began
