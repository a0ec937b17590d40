"""What an agent does where the books and the processes differ."""

from datetime import UTC, datetime, timedelta

import pytest

from reuse_agent.reconcile import Deed, Do, Here, Running, reconcile
from reuse_queue.facts import Replica, ReplicaState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
YOUNG = Running(age=timedelta(seconds=1))


def replica(name: str = "r", *, state: ReplicaState = ReplicaState.READY, **more) -> Replica:
    known = {"ready_at": NOW} if state is ReplicaState.READY else {}
    return Replica(
        name=name,
        environment="env",
        host="here",
        version="v1",
        state=state,
        ordered_at=NOW,
        **{**known, **more},
    )


def here(**more) -> Here:
    return Here(
        **{
            "offers": {"env": "v1"},
            "start_timeout": timedelta(seconds=300),
            "stop_timeout": timedelta(seconds=30),
            "off_books_grace": timedelta(seconds=6),
            **more,
        }
    )


def deeds(books, running=None, **more) -> list[Deed]:
    return list(reconcile(books, running or {}, here(**more)))


ORDERED = replica(state=ReplicaState.ORDERED)


def test_what_is_ordered_is_started():
    assert deeds([ORDERED]) == [Deed(do=Do.START, replica="r")]


def test_what_runs_as_the_books_say_is_left_alone():
    books = [replica(str(state), state=state) for state in ReplicaState]
    assert deeds(books, {each.name: YOUNG for each in books}) == []


def test_nothing_is_done_twice_while_a_start_or_a_report_is_under_way():
    books = [ORDERED, replica("gone")]
    assert deeds(books, unsettled={"r", "gone"}) == []


def test_an_order_for_what_is_still_loading_waits():
    assert deeds([ORDERED], offers={}, loading=["env"]) == []


@pytest.mark.parametrize("offers", [{}, {"env": "v2"}, {"other": "v1"}])
def test_an_order_that_cannot_be_met_is_taken_off_the_books(offers):
    [deed] = deeds([ORDERED], offers=offers)
    assert (deed.do, deed.why) == (Do.END, "its host has no version v1 now")


def test_an_agent_that_stops_starts_nothing():
    [deed] = deeds([ORDERED], draining=True)
    assert (deed.do, deed.why) == (Do.END, "its host stops")


@pytest.mark.parametrize("state", [each for each in ReplicaState if each != "ordered"])
def test_a_replica_of_the_agent_before_is_ended(state):
    [deed] = deeds([replica(state=state)])
    assert (deed.do, deed.why) == (Do.END, "it ended with the agent before this one")


@pytest.mark.parametrize(
    "state", [ReplicaState.ORDERED, ReplicaState.STARTING, ReplicaState.DRAINING]
)
def test_a_replica_that_is_not_ready_in_time_is_killed(state):
    late = Running(age=timedelta(seconds=301))
    [deed] = deeds([replica(state=state)], {"r": late})
    assert (deed.do, deed.why) == (Do.KILL, "not ready within 300 s")


def test_a_replica_that_has_been_ready_may_grow_old():
    old = Running(age=timedelta(days=9))
    for state in (ReplicaState.READY, ReplicaState.DRAINING):
        assert deeds([replica(state=state, ready_at=NOW)], {"r": old}) == []


def test_on_stop_hooks_have_their_time_and_no_more():
    stopping = replica(state=ReplicaState.STOPPING)

    def after(seconds: int) -> list[Deed]:
        process = Running(age=timedelta(days=1), stopping_for=timedelta(seconds=seconds))
        return deeds([stopping], {"r": process})

    assert after(30) == []
    assert after(31) == [Deed(do=Do.KILL, replica="r", why="on_stop hooks took longer than 30 s")]


def test_a_process_off_the_books_is_told_to_end_and_then_killed():
    def told(seconds: int) -> Running:
        return Running(age=timedelta(days=1), told=True, unlisted_for=timedelta(seconds=seconds))

    assert [each.do for each in deeds([], {"r": YOUNG})] == [Do.TERMINATE]
    assert deeds([], {"r": told(6)}) == []
    assert [each.do for each in deeds([], {"r": told(7)})] == [Do.KILL]
