"""The checker: holds what Redis has at the end against the ledger, rule by rule.

A rule yields what breaks it; each has a unit test that feeds it a wrong history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from chaos.excuses import Excuse, excuses
from chaos.found import Found, FoundJob
from chaos.history import History, Run, Story
from chaos.kinds import CANCELED, FAILED, FINISHED
from chaos.losses import Losses
from chaos.unheard import unheard

SUCCESSFUL, FAILURE = 1, 2
CANCEL_TAKES_S = 10.0
"""A job that returns later than this after its cancel was asked for should not have."""
CALM_S = 30.0
"""After the last fault, and one lease, no job should take longer to its end. Those that were
scheduled, that block for longer than a lease, or that have to be tried or lost several times, take
up to 15 s by themselves; the rest is for a slow machine."""
_RESULT = {FINISHED: [SUCCESSFUL], FAILED: [FAILURE], CANCELED: []}


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A promise that was broken."""

    rule: str
    text: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.rule}: {self.text}"


def check(
    history: History, found: Found, *, lease: float, calm_s: float = 0.0, max_deliveries: int = 3
) -> list[Violation]:
    """Return all violations of all promises.

    Args:
        history: what the ledger says.
        found: what Redis has, after everything ended and every process is gone.
        lease: how many seconds a lease lasted.
        calm_s: how long after the last fault all jobs had ended.
        max_deliveries: how often a job may be lost before it is dead.
    """
    known = excuses(history, lease)
    losses = Losses(excuses=known, pids=history.pids(), lease=lease, max_deliveries=max_deliveries)
    violations = [*_left(found), *_counted(found), *_calm(calm_s, lease)]
    violations += [
        Violation(rule="nothing is made up", text=text) for text in unheard(history, found, known)
    ]
    stories = dict(history.stories)
    for job in found.jobs.keys() - stories.keys():
        # Written, though nobody was told: it has to end all the same.
        stories[job] = Story(job=job, kind="child")
    for job, story in stories.items():
        there = found.jobs.get(job)
        if there is None:
            if story.accepted is not None:
                violations.append(_broken("accepted jobs are there", story, "it is gone"))
            continue
        violations += _placed(story, there)
        violations += _fits(story, there, losses)
        violations += _true(story, there)
        violations += _runs(story, known)
        violations += _told(story, there)
    return violations


def _broken(rule: str, story: Story, text: str) -> Violation:
    return Violation(rule=rule, text=f"{story.kind} job {story.job}: {text}")


def _placed(story: Story, there: FoundJob) -> Iterator[Violation]:
    """Each job is in one final state, in that one's registry, with just its result record."""
    if there.status not in _RESULT:
        yield _broken("every job ends", story, f"it is {there.status or 'nothing'}")
        return
    if there.registries != {there.status}:
        where = ", ".join(sorted(there.registries)) or "none"
        yield _broken("one final state", story, f"it is {there.status}, its registries: {where}")
    kinds = [result.kind for result in there.results]
    if kinds != _RESULT[there.status]:
        yield _broken("one result record", story, f"it is {there.status}, its records: {kinds}")


def _fits(story: Story, there: FoundJob, losses: Losses) -> Iterator[Violation]:
    """The state is what the job's kind ends in, or what faults and cancels make right."""
    status, rules = there.status, story.rules
    errors = [run.why for run in story.runs if run.how == "raised"]
    raised = len(errors)
    wrong = ""
    if status == FAILED and not (_failed(story, raised) or losses.killed(story, there)):
        wrong = f"it failed after {there.losses} losses and {raised} errors {errors}"
    elif status == CANCELED and story.canceled is None:
        wrong = "it was canceled, and nobody wanted that"
    elif status == FINISHED and rules.ends == FAILED:
        wrong = "it finished"
    elif status == FINISHED and raised < rules.raises:
        wrong = f"it finished after {raised} errors"
    elif status == FINISHED and story.canceled is not None and not _in_time(story):
        wrong = "it was canceled long before its end, and finished"
    if wrong:
        yield _broken("the right state", story, wrong)


def _failed(story: Story, raised: int) -> bool:
    """Return whether it has failed as its kind does."""
    rules = story.rules
    if rules.expires:
        return bool(story.runs)
    return rules.ends == FAILED and not rules.deadly and raised >= rules.raises


def _in_time(story: Story) -> bool:
    """Return whether a run came to its end before the cancel can have reached it."""
    last = (story.canceled or 0.0) + CANCEL_TAKES_S
    return any(run.ended is not None and run.ended < last for run in story.runs)


def _true(story: Story, there: FoundJob) -> Iterator[Violation]:
    """A success is that of a run that took place and returned just this."""
    for result in there.results:
        run = _run(story, result.execution)
        if result.kind == SUCCESSFUL and (run is None or run.how != "returned"):
            text = "its result is of no run that returned"
            yield _broken("finished means executed", story, text)
        elif result.kind == SUCCESSFUL and result.value != result.execution:
            yield _broken("finished means executed", story, "its result is another run's")


def _runs(story: Story, excuses: list[Excuse]) -> Iterator[Violation]:
    """It ran once, but for tries that raised, and runs that a fault took."""
    if story.rules.once and len(story.runs) > 1:
        yield _broken("at most once", story, f"it ran {len(story.runs)} times")
    tries = 0
    if story.rules.stubborn:
        # It is ended by being killed: that is no reason to run it again.
        excuses = [each for each in excuses if each.job != story.job]
    for run, following in zip(story.runs, story.runs[1:], strict=False):
        if any(excuse.covers(run, following) for excuse in excuses):
            continue
        if run.how == "raised" and tries < story.rules.retries:
            tries += 1
        else:
            text = f"it ran again after {run.how or 'no end'} on {run.replica} (pid {run.pid})"
            yield _broken("again only after a fault", story, text)


def _told(story: Story, there: FoundJob) -> Iterator[Violation]:
    """Its failure callback was called, whatever it failed by."""
    if story.rules.told and there.status == FAILED and not story.told:
        yield _broken("who is to be told is told", story, "its failure callback was not called")


def _run(story: Story, execution: str) -> Run | None:
    return next((run for run in story.runs if run.execution == execution), None)


def _calm(calm_s: float, lease: float) -> Iterator[Violation]:
    if calm_s > lease + CALM_S:
        text = f"all jobs had ended only {calm_s:.1f} s after the last fault"
        yield Violation(rule="work goes on", text=text)


def _left(found: Found) -> Iterator[Violation]:
    for key in found.strays:
        yield Violation(rule="nothing is left", text=key)
    for entry in found.phantoms:
        yield Violation(rule="nothing is left", text=f"no such job: {entry}")


def _counted(found: Found) -> Iterator[Violation]:
    """The environments' counters are the numbers of jobs that finished and failed."""
    ends = Counter((job.environment, job.status) for job in found.jobs.values())
    for env, totals in found.totals.items():
        there = (ends[env, FINISHED], ends[env, FAILED])
        if there != totals:
            text = f"{env} counts {totals} jobs finished and failed, there are {there}"
            yield Violation(rule="counters agree", text=text)
