"""Who is charged for the end of a replica."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from reuse_agent.charge import Charge
from reuse_queue.facts import Replica, ReplicaState
from reuse_queue.job import Verdict

SEGFAULT, KILLED, EXITED = -signal.SIGSEGV, -signal.SIGKILL, 7


@pytest.fixture
def charge() -> Iterator[Charge]:
    replica = Replica(
        name="app-a-1",
        environment="app",
        host="a",
        version="v1",
        state=ReplicaState.READY,
        ordered_at=datetime.now(UTC),
    )
    made = Charge.of(replica, 3)
    for execution in ("e1", "e2", "e3"):
        made.board.put(execution, None)
    yield made
    made.close()


@pytest.mark.parametrize("status", [SEGFAULT, EXITED])
def test_a_replica_that_ends_itself_is_charged_to_the_job_whose_code_ran(
    charge: Charge, status: int
):
    charge.board.enter(1)
    assert charge.charged(status) == {"e2": None}


def test_without_one_onstage_all_that_ran_are_charged(charge: Charge):
    charge.board.enter(1)
    charge.board.leave()
    assert charge.charged(SEGFAULT) == dict.fromkeys(["e1", "e2", "e3"])


def test_a_kill_from_outside_says_nothing_about_whose_code_ran(charge: Charge):
    charge.board.enter(1)
    assert charge.charged(KILLED) == dict.fromkeys(["e1", "e2", "e3"])


def test_a_replica_that_ran_out_of_memory_is_charged_to_the_job_whose_code_asked_for_it(
    charge: Charge,
):
    charge.board.enter(1)
    assert charge.charged(KILLED, out_of_memory=True) == {"e2": None}


def test_who_blocked_the_loop_while_others_ran_out_of_time_is_charged_too(charge: Charge):
    charge.board.enter(1)
    charge.watch.note(charge.board.onstage())
    charge.verdicts["e3"] = Verdict.FAILED
    # Seen once, it may just have been its turn.
    assert charge.charged(KILLED) == {"e3": Verdict.FAILED}
    charge.watch.note(charge.board.onstage())
    assert charge.charged(KILLED) == {"e2": None, "e3": Verdict.FAILED}
    charge.board.leave()
    charge.watch.note(charge.board.onstage())
    assert charge.charged(KILLED) == {"e3": Verdict.FAILED}


def test_who_the_replica_was_killed_for_is_charged_alone(charge: Charge):
    charge.board.enter(0)
    charge.verdicts["e3"] = Verdict.FAILED
    assert charge.charged(KILLED) == {"e3": Verdict.FAILED}


def test_a_slot_that_was_left_before_the_end_charges_nobody_else(charge: Charge):
    charge.board.enter(1)
    charge.board.drop(1)
    assert charge.charged(EXITED) == dict.fromkeys(["e1", "e3"])


def test_another_process_reads_who_was_onstage(charge: Charge):
    if (pid := os.fork()) == 0:
        charge.board.enter(2)
        os._exit(EXITED)
    os.waitpid(pid, 0)
    assert charge.charged(EXITED) == {"e3": None}
