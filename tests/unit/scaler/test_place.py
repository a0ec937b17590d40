"""Who gets the places on hosts, and what is said to those who get none."""

from collections import Counter
from typing import Any

from reuse_queue.facts import EnvironmentState
from reuse_queue.scaler.place import Placement, place
from reuse_queue.scaler.plan import Plan, Start
from support.fleets import host, replica


def plan(env: str = "classify", count: int = 1, version: str = "v1", **fields: Any) -> Plan:
    given = {"want": count, "starts": (Start(version=version, count=count),), **fields}
    return Plan(environment=env, state=EnvironmentState.ACTIVE, **given)


def hosts_of(placement: Placement) -> dict[str, int]:
    return Counter(name for name, _ in placement.starts)


def offering(name: str, room: int, *envs: str, **fields: Any):
    return host(name, room, offers=dict.fromkeys(envs, "v1"), **fields)


def test_starts_are_spread_over_the_hosts():
    placed = place([plan(count=4)], [], [host("a", 3), host("b", 3), host("c", 1)])["classify"]
    assert hosts_of(placed) == {"a": 2, "b": 1, "c": 1}
    assert placed.unschedulable == ""


def test_the_replicas_of_other_environments_take_places_too():
    others = [replica(str(n), environment="other") for n in range(3)]
    placed = place([plan(count=3)], others, [host("a", 4), host("b", 1)])["classify"]
    assert hosts_of(placed) == {"a": 1, "b": 1}
    assert placed.unschedulable == "1 more wanted, hosts are full: a 4/4, b 1/1"
    assert placed.unplaced == (Start(version="v1", count=1),)


def test_minima_come_first():
    plans = [plan("greedy", 4, want=4), plan("modest", 2, want=2, minimum=2)]
    placed = place(plans, [], [offering("a", 3, "greedy", "modest")])
    assert (len(placed["modest"].starts), len(placed["greedy"].starts)) == (2, 1)


def test_then_whoever_has_the_smallest_part_of_what_it_wants_comes_next():
    plans = [plan("large", 8, want=8), plan("small", 2, want=2), plan("has", 2, want=4, supply=2)]
    placed = place(plans, [], [offering("a", 7, "large", "small", "has")])
    assert {name: len(each.starts) for name, each in placed.items()} == {
        "large": 5,
        "small": 1,
        "has": 1,
    }


def test_only_hosts_that_offer_the_version_and_stay_are_taken():
    hosts = [
        host("other", offers={"other": "v1"}),
        host("old", offers={"classify": "v0"}),
        host("leaving", draining=True),
        host("good"),
    ]
    assert hosts_of(place([plan(count=3)], [], hosts)["classify"]) == {"good": 3}


def test_one_version_without_room_does_not_keep_another_from_its_place():
    both = plan(count=0, starts=(Start(version="v2", count=1), Start(version="v1", count=2)))
    full = host("new", 0, offers={"classify": "v2"})
    placed = place([both], [], [full, host("old")])["classify"]
    assert hosts_of(placed) == {"old": 2}
    assert placed.unschedulable == "1 more wanted, hosts are full: new 0/0"


def test_what_finds_no_host_is_told_why():
    def why(*hosts) -> str:
        return place([plan()], [], hosts)["classify"].unschedulable

    assert why() == "no live host offers environment classify: there is no live host at all"
    assert why(host(offers={})) == "no live host offers environment classify"
    assert why(host("x", draining=True)) == (
        "the hosts that offer environment classify are draining: x"
    )


def test_plans_that_start_nothing_take_no_part():
    assert place([plan(starts=())], [], [host()]) == {}
