"""Outlook: environments that compete for hosts, looked at one by one."""

from reuse_queue.facts import ActionKind, Decision, EnvironmentState
from reuse_queue.scaler.outlook import Outlook
from support.fleets import death, environment, host, ready, replica, snapshot

BOTH = {"one": "v1", "two": "v1"}


def seen(name: str, *replicas, **fields):
    return snapshot(environment(0, 4, name=name), *replicas, **fields)


def started(decided: Decision) -> int:
    return sum(each.kind is ActionKind.START for each in decided.actions)


def test_orders_take_their_places_before_they_are_seen():
    outlook, hosts = Outlook(), [host(room=3, offers=BOTH)]
    assert started(outlook.decide(hosts, [seen("one", backlog=4)])[0]) == 2
    (second,) = outlook.decide(hosts, [seen("two", backlog=4)])
    assert started(second) == 1
    assert second.unschedulable == "1 more wanted, hosts are full: a 3/3"


def test_who_got_less_than_it_wanted_competes_when_another_is_looked_at():
    outlook = Outlook()
    outlook.decide([], [seen("one", backlog=8)])
    (second,) = outlook.decide([host(room=2, offers=BOTH)], [seen("two", backlog=8)])
    assert started(second) == 1


def test_a_survey_counts_the_places_of_environments_without_a_decision_yet():
    outlook = Outlook()
    outlook.survey([seen("one", replica("r", environment="one"))])
    (second,) = outlook.decide([host(room=1, offers=BOTH)], [seen("two", backlog=1)])
    assert started(second) == 0
    outlook.keep(["two"])
    (second,) = outlook.decide([host(room=1, offers=BOTH)], [seen("two", backlog=1)])
    assert started(second) == 1


def test_a_decision_carries_its_reason_the_names_of_new_replicas_and_its_time():
    outlook, hosts = Outlook(), [host("big.host", offers=BOTH)]
    there = ready("r", environment="one", host="big.host", held=2)
    (decided,) = outlook.decide(hosts, [seen("one", there, backlog=4)])
    assert (
        decided.reason == "6 jobs want 3 replicas (2 per replica), 1 is there: start 2 on big.host"
    )
    names = [each.replica for each in decided.actions]
    assert len(set(names)) == 2
    assert all(name.startswith("one-big.host-") for name in names)
    assert (decided.want, decided.supply, decided.demand) == (3, 1, 6)
    assert decided.at is not None


def test_what_no_host_can_load_is_degraded_with_the_traceback_of_one():
    record = environment(0, 4, name="one", versions=(), target="app:env")
    hosts = [host("a", offers={}), host("b", offers={}, broken={"app:env": "…\nImportError: x"})]
    (decided,) = Outlook().decide(hosts, [snapshot(record, backlog=1)])
    assert decided.degraded == "host b cannot load app:env:\n…\nImportError: x"
    assert decided.state is EnvironmentState.ACTIVE
    hosts.append(host("c", offers=BOTH))
    (decided,) = Outlook().decide(hosts, [snapshot(record, backlog=1)])
    assert decided.degraded == ""


def test_why_it_is_degraded_is_no_longer_than_the_end_of_a_long_traceback():
    deaths = tuple(death(n, detail="x" * 100_000 + "\nValueError: y") for n in range(6))
    (decided,) = Outlook().decide([], [seen("one", deaths=deaths)])
    assert decided.degraded.endswith("ValueError: y")
    assert len(decided.degraded) < 5000


def test_many_drains_are_counted_not_listed():
    idle = [ready(f"r{n}", environment="one", idle_for=200) for n in range(9)]
    drained = environment(0, 9, name="one", drained=True)
    (decided,) = Outlook().decide([], [snapshot(drained, *idle)])
    assert decided.reason == (
        "an operator drained it: drain r0, r1, r2, r3, r4 and 4 more (operator)"
    )
