"""When a job on a board is overdue."""

from math import inf

from reuse_agent.watch import Watch, reason
from reuse_queue.board import Overdue, Slot
from reuse_queue.job import Verdict

LATE = Slot("late", 10.0, Overdue.TIMEOUT)
CANCELED = Slot("canceled", 10.0, Overdue.CANCELED)
IN_TIME = [Slot("soon", 12.0, Overdue.TIMEOUT), Slot("free", inf, Overdue.TIMEOUT)]


def test_a_job_is_overdue_when_seen_so_twice():
    watch = Watch()
    assert watch.overdue([LATE, CANCELED, *IN_TIME], 11.0) == {}
    assert watch.overdue([LATE, CANCELED, *IN_TIME], 11.1) == {
        "late": Verdict.FAILED,
        "canceled": Verdict.CANCELED,
    }


def test_a_job_that_ends_between_two_looks_is_not():
    watch = Watch()
    watch.overdue([LATE], 11.0)
    assert watch.overdue([], 11.1) == {}
    assert watch.overdue([LATE], 11.2) == {}


def test_the_reason_says_which_job_was_the_worse():
    assert reason({"a": Verdict.CANCELED}) == "killed: a canceled job did not give way"
    assert reason({"a": Verdict.STOPPED}) == "killed: a stopped job did not give way"
    both = {"a": Verdict.CANCELED, "b": Verdict.FAILED}
    assert reason(both) == "killed: a job ran past its timeout"
