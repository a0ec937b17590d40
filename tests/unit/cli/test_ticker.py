from datetime import timedelta

from reuse_queue.cli.seen import Pace, Seen
from reuse_queue.cli.ticker import Ticker
from support.made_up import NOW, ago, death, decision, record, replica, snapshot


def told(ticker: Ticker, **known) -> list[str]:
    """What is told, without the times."""
    return [line.split("] ", 1)[1] for line in ticker.lines(Seen(at=NOW, **known))]


def test_each_new_decision_that_does_something_is_told_once_and_the_oldest_first():
    ticker = Ticker()
    old = decision(20, reason="of another run")
    assert told(ticker, decisions=(old,)) == []
    older, held = decision(9, reason="work came"), decision(5, starts=0, reason="all is there")
    newer = decision(3, starts=0, reason="more work", unschedulable="no host has room")
    assert told(ticker, decisions=(newer, held, older, old)) == [
        "classify: +2: work came",
        "classify: more work; unschedulable: no host has room",
    ]
    newest = decision(1, starts=1, reason="room again")
    assert told(ticker, decisions=(newest, newer, held, older)) == ["classify: +1: room again"]


def test_replicas_are_told_of_when_they_are_ready_when_they_drain_and_when_they_are_gone():
    ticker = Ticker()
    names = ("ordered", "ready", "ready", "draining")
    lives = [
        told(
            ticker,
            environments=(
                snapshot(
                    replicas=(replica("r1", state, drain_reason="environment idle", jobs_done=4),)
                ),
            ),
        )
        for state in names
    ]
    assert lives == [
        [],
        ["r1 is ready, 9s after its order"],
        [],
        ["r1 drains: environment idle"],
    ]
    assert told(ticker, environments=(snapshot(),)) == ["r1 is gone, after 4 jobs"]


def test_counts_are_told_at_most_every_five_seconds_and_once_more_at_the_end():
    ticker = Ticker()

    def at(second: float, **jobs) -> list[str]:
        seen = snapshot(at=NOW + timedelta(seconds=second), **jobs)
        return told(ticker, environments=(seen,), rates={"classify": 12.3})

    assert at(0) == []
    assert at(1, backlog=30, claimed=8) == [
        "classify: 30 queued, 8 running, 0 done (12/s), 0 of 0-3 replicas ready"
    ]
    assert at(2, backlog=20, claimed=8, finished_total=10) == []
    assert at(6, backlog=5, claimed=8, finished_total=25) != []
    assert at(7, finished_total=37, failed_total=1) == [
        "classify: 0 queued, 0 running, 37 done (12/s), 1 failed, 0 of 0-3 replicas ready"
    ]
    assert at(20, finished_total=37, failed_total=1) == []


def test_a_change_of_state_is_told_with_its_reason():
    ticker = Ticker()
    told(ticker, environments=(snapshot(),))
    broken = snapshot(record(degraded="Traceback …\nModuleNotFoundError: no module 'torch'"))
    assert told(ticker, environments=(broken,)) == [
        "classify is degraded: ModuleNotFoundError: no module 'torch'"
    ]


def test_the_rate_is_that_of_the_last_five_seconds():
    pace = Pace()
    totals = [(20, 0), (10, 1000), (4, 1000), (2, 1100), (0, 1220)]
    rates = [
        pace.rates((snapshot(at=ago(before), finished_total=total),))["classify"]
        for before, total in totals
    ]
    assert rates[0] == 0
    assert rates[1] == 100
    assert rates[-1] == (1220 - 1000) / 10  # from the last look that is five seconds old or more


def test_a_death_is_told_with_its_cause_and_that_replica_is_not_gone_as_well():
    ticker, old = Ticker(), death(90, "r0")
    alive = snapshot(replicas=(replica("r1", "starting"),), deaths=(old,))
    assert told(ticker, environments=(alive,)) == []
    ended = snapshot(deaths=(death(1, "r1"), old))
    assert told(ticker, environments=(ended,)) == [
        "r1 died: exit code 4 (could not start): OSError: no model"
    ]
    assert told(ticker, environments=(ended,)) == []
