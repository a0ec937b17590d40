from datetime import timedelta

import pytest

from reuse_queue.cli.waits import waits
from reuse_queue.facts import EnvironmentState
from support.made_up import NOW, ago, death, host, record, replica, snapshot


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (
            snapshot(record(state=EnvironmentState.DORMANT)),
            "its next job: it is dormant, and the first enqueue wakes it",
        ),
        (
            snapshot(record(paused=True), backlog=3),
            "`env resume classify`: an operator paused it, and 3 jobs queued",
        ),
        (
            snapshot(record(suspended=True), backlog=2),
            "`rq resume`: `rq suspend` holds all workers back, and 2 jobs queued",
        ),
        (
            snapshot(record(drained=True), backlog=1),
            "`env resume classify`: an operator drained it, and 1 job queued",
        ),
        (
            snapshot(record(degraded="Traceback\nKeyError: 'MODEL'")),
            "it is degraded: KeyError: 'MODEL' (see `env show classify`)",
        ),
        (
            snapshot(record(policy=None)),
            "an agent or application that announces it: nobody has, so it has no policy",
        ),
        (
            snapshot(replicas=(replica("r1", "starting"),), backlog=1),
            "r1 to be ready (its on_start hooks run), for 40s now",
        ),
        (
            snapshot(replicas=(replica(held=8),) * 3, backlog=100, claimed=24),
            "a free slot for 100 jobs: 24 of 24 slots taken, and 3 is the most replicas it may "
            "have",
        ),
        (
            snapshot(replicas=(replica("r1", idle_since=ago(10)),)),
            "r1 to be drained in 20s: idle for 10s of 30s",
        ),
        (
            snapshot(replicas=(replica("r1", idle_since=ago(10)),)),
            "all replicas to be drained (dormant) in 1m 50s: idle for 10s of 2m",
        ),
        (
            snapshot(claimed=2, waiting=2),
            "the jobs that 2 jobs of its own wait for",
        ),
        (snapshot(scheduled=2), "2 jobs due later"),
        (snapshot(), "nothing: it is at rest"),
    ],
)
def test_it_says_what_the_environment_waits_for(seen, expected: str):
    assert expected in waits(seen, [host()])


def test_it_says_that_no_host_offers_it():
    assert waits(snapshot(backlog=1), [])[0].startswith("a host: none that is alive offers it")
    assert waits(snapshot(backlog=1), [host(draining=True)])[0].startswith("a host:")


def test_replicas_of_the_minimum_are_not_said_to_be_drained_one_by_one():
    seen = snapshot(record(override=(1, 3)), replicas=(replica("r1", idle_since=ago(31)),))
    assert not [line for line in waits(seen, [host()]) if line.startswith("r1")]


def test_what_is_overdue_comes_any_moment():
    seen = snapshot(replicas=(replica("r1", idle_since=NOW - timedelta(hours=1)),))
    assert "r1 to be drained any moment: idle for 1h of 30s" in waits(seen, [host()])


def test_it_says_why_replicas_die_before_that_makes_the_environment_degraded():
    deaths = (death(2), death(5))
    assert waits(snapshot(deaths=deaths), [host()])[0] == (
        "a replica that can start: 2 replicas died young, the last one 2s ago: "
        "exit code 4 (could not start): OSError: no model (see `env show classify`)"
    )
    of_the_old_code = snapshot(record(versions=("v0", "v2")), deaths=deaths)
    assert waits(of_the_old_code, [host()]) == ["nothing: it is at rest"]
