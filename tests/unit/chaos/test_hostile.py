"""What jobs that hurt their replica excuse, and what they do not."""

from collections.abc import Sequence
from typing import Any

import pytest

from chaos.checker import check
from chaos.found import Found, FoundJob, FoundResult
from chaos.history import Fault, History, Run, Story

LEASE = 6.0
AGAIN = {"again only after a fault"}


def run(execution: str, at: float, until: float | None = None, pid: int = 1) -> Run:
    how = "returned" if until else ""
    replica = f"deadly-a-{pid}"
    return Run(execution=execution, pid=pid, replica=replica, began=at, ended=until, how=how)


def rules(stories: Sequence[Story], *faults: Fault) -> set[str]:
    """Return the rules that jobs break which ended as their kinds do."""
    jobs = {story.job: ended(story) for story in stories}
    ends = [job.status for job in jobs.values()]
    totals = {"deadly": (ends.count("finished"), ends.count("failed"))}
    history = History(stories={each.job: each for each in stories}, faults=list(faults))
    return {each.rule for each in check(history, Found(jobs=jobs, totals=totals), lease=LEASE)}


def ended(story: Story) -> FoundJob:
    last, status = story.runs[-1].execution, story.rules.ends
    kind, value = (1, last) if status == "finished" else (2, None)
    results = (FoundResult(kind=kind, execution=last, value=value),)
    where = frozenset({status})
    return FoundJob(environment="deadly", status=status, results=results, registries=where)


def story(job: str, kind: str, *runs: Run) -> Story:
    return Story(job=job, kind=kind, accepted=1.0, runs=list(runs), told=["JobTimeout"])


STUBBORN = story("s", "stubborn", run("e1", 10))


def beside(at: float = 9, pid: int = 1) -> Story:
    return story("b", "beside", run("e2", at, pid=pid), run("e3", at + 5, at + 6, pid=2))


def test_who_was_beside_a_job_that_did_not_give_way_may_run_again():
    assert rules([STUBBORN, beside()]) == set()


@pytest.mark.parametrize(
    "other", [beside(pid=3), beside(at=200)], ids=["another replica", "much later"]
)
def test_nobody_else_may(other: Story):
    assert rules([STUBBORN, other]) == AGAIN


def test_a_job_that_did_not_give_way_may_not_run_again_itself():
    twice = story("s", "stubborn", run("e1", 10), run("e2", 15))
    assert rules([twice]) == AGAIN


BLOCKED = story("b", "block", run("e1", 10), run("e2", 20, 21, pid=2))


def agent_stopped(host: str, since: float = 9) -> Fault:
    return Fault(name="SIGSTOP", injected=since, healed=since + 10, unattended=(host,))


def test_what_blocked_its_replica_while_its_agent_stood_still_may_run_again():
    assert rules([BLOCKED], agent_stopped("a")) == set()


@pytest.mark.parametrize(
    "faults",
    [(), (agent_stopped("b"),), (agent_stopped("a", since=30),)],
    ids=["no fault", "another agent", "a later stop"],
)
def test_it_may_not_otherwise(faults: tuple[Fault, ...]):
    assert rules([BLOCKED], *faults) == AGAIN


def test_what_did_not_block_may_not_run_again_when_only_the_agent_stood_still():
    slow = story("b", "slow", run("e1", 10), run("e2", 20, 21, pid=2))
    assert rules([slow], agent_stopped("a")) == AGAIN


def failed(execution: str, at: float, pid: int = 1) -> Run:
    replica = f"deadly-a-{pid}"
    given: dict[str, Any] = {
        "pid": pid,
        "replica": replica,
        "began": at,
        "ended": at + 1,
        "how": "raised",
    }
    return Run(execution=execution, **given)


def test_a_job_that_took_all_memory_may_have_taken_its_replica_along():
    twice = [failed("e1", 10), failed("e2", 15, pid=2)]
    assert rules([story("l", "leak", *twice)]) == set()
    assert rules([story("u", "unusual error", *twice)]) == AGAIN


def test_what_it_left_alone_may_not_run_again():
    leak = story("l", "leak", failed("e1", 10))
    later = story("b", "slow", run("e2", 20), run("e3", 25, 26, pid=2))
    assert rules([leak, later]) == AGAIN
