"""DESIGN.md's table of scaling semantics, row by row, and what lies between the rows."""

from datetime import timedelta
from typing import Any

import pytest

from reuse_agent.causes import ended_by
from reuse_queue.facts import (
    LEFT_BEHIND,
    ActionKind,
    DrainReason,
    EnvironmentState,
    ReplicaState,
    Snapshot,
)
from reuse_queue.scaler.decide import decide
from reuse_queue.scaler.memory import Memory
from reuse_queue.scaler.plan import Plan
from support.fleets import NOW, at, death, environment, policy, ready, replica, snapshot, watched


def plan(seen: Snapshot, memory: Memory | None = None, **given) -> Plan:
    return decide(seen, memory or watched(), **given)[0]


LEAVING: dict[str, Any] = {
    "state": ReplicaState.DRAINING,
    "drain_reason": DrainReason.SCALE_DOWN,
}


def started(made: Plan) -> int:
    return sum(each.count for each in made.starts)


def told(made: Plan, kind: ActionKind, reason: DrainReason | None = None) -> list[str]:
    return [
        each.replica
        for each in made.actions
        if each.kind is kind and (reason is None or each.reason is reason)
    ]


def drained(made: Plan, reason: DrainReason | None = None) -> list[str]:
    return told(made, ActionKind.DRAIN, reason)


# -- scale up -------------------------------------------------------------------------------


def test_demand_is_met_at_once_as_far_as_the_policy_goes():
    made = plan(snapshot(environment(0, 4), ready("one", held=2), backlog=5))
    assert (made.demand, made.want, made.supply, started(made)) == (7, 4, 1, 3)
    assert plan(snapshot(environment(0, 4), backlog=500)).want == 4


def test_jobs_that_replicas_hold_are_demand_and_parents_that_wait_for_children_are_not():
    busy = ready("one", held=2)
    assert plan(snapshot(environment(0, 4), busy, backlog=1)).want == 2
    assert plan(snapshot(environment(0, 4), busy, backlog=1, waiting=1)).want == 1


def test_replicas_on_their_way_count_as_supply_until_they_are_overdue():
    record = environment(0, 4)
    coming = replica("coming", age=10), replica("late", age=400, state=ReplicaState.STARTING)
    made = plan(snapshot(record, *coming, backlog=4))
    assert (made.supply, started(made)) == (1, 1)


def test_a_draining_replica_of_the_same_version_returns_before_a_new_one_is_started():
    seen = snapshot(
        environment(0, 4),
        ready("warm", **LEAVING),
        ready("told", **(LEAVING | {"drain_reason": DrainReason.OPERATOR})),
        ready("never", **LEAVING, ready_at=None),
        ready("other", **LEAVING, version="v0"),
        backlog=4,
    )
    made = plan(seen)
    assert told(made, ActionKind.UNDRAIN) == ["warm"]
    assert (made.supply, started(made)) == (0, 1)


def test_jobs_due_in_the_future_are_no_demand():
    made = plan(snapshot(environment(0, 4), scheduled=100))
    assert (made.want, started(made), made.state) == (0, 0, EnvironmentState.DORMANT)


# -- scale down -----------------------------------------------------------------------------


def test_only_replicas_that_were_idle_for_scaledown_ttl_are_drained_the_longest_idle_first():
    idle = [ready("a", idle_for=59), ready("b", idle_for=61), ready("c", idle_for=90)]
    seen = snapshot(environment(0, 4), *idle, ready("busy", held=1))
    made = plan(seen)
    assert drained(made) == ["c", "b"]
    assert not any(each.force for each in made.actions)


def test_a_busy_replica_is_never_drained_for_want_of_demand():
    busy = [ready(str(n), held=1) for n in range(4)]
    assert drained(plan(snapshot(environment(0, 4), *busy))) == []


def test_scale_down_stops_at_the_minimum_and_at_what_is_wanted():
    idle = [ready(str(n), idle_for=100) for n in range(4)]
    assert len(drained(plan(snapshot(environment(3, 4, keep_warm=True), *idle)))) == 1
    assert len(drained(plan(snapshot(environment(0, 4), *idle, backlog=3)))) == 2


def test_the_peak_of_the_last_scaledown_ttl_holds_scale_down_back():
    idle = [ready(str(n), idle_for=100) for n in range(4)]
    _, memory = decide(snapshot(environment(0, 4), *idle, backlog=6), watched())
    later = snapshot(environment(0, 4), *idle, at=at(59), backlog=1)
    assert len(drained(decide(later, memory)[0])) == 1
    after = snapshot(environment(0, 4), *idle, at=at(61), backlog=1)
    assert len(drained(decide(after, memory)[0])) == 3


def test_among_equally_idle_replicas_the_fullest_host_gives_one_up():
    idle = [ready("x", idle_for=90, host="b"), ready("y", idle_for=90), ready("z", idle_for=90)]
    assert drained(plan(snapshot(environment(2, 4, keep_warm=True), *idle))) == ["y"]


def test_a_fixed_count_is_not_scaled_down():
    idle = [ready(str(n), idle_for=100) for n in range(3)]
    made = plan(snapshot(environment(3, 3, keep_warm=True), *idle))
    assert (made.want, made.actions, made.starts) == (3, (), ())


def test_replicas_above_a_lowered_maximum_go_as_soon_as_they_are_idle():
    record = environment(0, 4, override=(0, 1))
    seen = snapshot(record, ready("a", idle_for=1), ready("b", held=1), ready("c", held=1))
    assert drained(plan(seen)) == ["a"]


# -- idle_ttl and wake ----------------------------------------------------------------------


def test_after_idle_ttl_without_demand_all_replicas_drain_the_minimum_included():
    idle = [ready("a"), ready("b"), replica("c", state=ReplicaState.STARTING)]
    made = plan(snapshot(environment(2, 4), *idle), watched(120))
    assert made.state is EnvironmentState.DORMANT
    assert drained(made, DrainReason.IDLE) == ["a", "b", "c"]
    assert plan(snapshot(environment(2, 4), *idle), watched(119)).state is EnvironmentState.ACTIVE


def test_a_fixed_count_goes_dormant_as_well():
    made = plan(snapshot(environment(2, 2), ready("a"), ready("b")))
    assert len(drained(made, DrainReason.IDLE)) == 2


def test_keep_warm_exempts_from_idle_ttl():
    made = plan(snapshot(environment(2, 2, keep_warm=True), ready("a"), ready("b")))
    assert (made.state, made.actions) == (EnvironmentState.ACTIVE, ())


def test_the_idle_clock_starts_when_the_environment_was_last_woken():
    made = plan(snapshot(environment(1, 2, active_since=at(-100)), ready("a")))
    assert made.state is EnvironmentState.ACTIVE


def test_an_environment_whose_jobs_all_wait_for_others_does_not_go_dormant():
    busy = ready("a", held=2)
    assert plan(snapshot(environment(1, 2), busy, waiting=2)).state is EnvironmentState.ACTIVE


def test_the_idle_clock_stands_still_while_jobs_wait_for_others():
    seen = snapshot(environment(1, 2), ready("a", held=2), waiting=2)
    _, memory = decide(seen, watched(120))
    assert memory.busy_at == seen.at


def test_a_job_that_came_and_went_between_two_looks_restarts_the_idle_clock():
    seen = snapshot(environment(1, 2), ready("a"), finished_total=1)
    assert plan(seen, watched(ended=0)).state is EnvironmentState.ACTIVE
    assert plan(seen, watched(ended=1)).state is EnvironmentState.DORMANT


def test_a_dormant_environment_keeps_no_replica_and_stays_so_without_demand():
    made = plan(snapshot(environment(2, 2, state=EnvironmentState.DORMANT), ready("a")))
    assert (made.state, made.want, started(made)) == (EnvironmentState.DORMANT, 0, 0)
    assert drained(made) == ["a"]


@pytest.mark.parametrize(("backlog", "starts"), [(1, 2), (5, 3), (50, 4)])
def test_the_first_enqueue_wakes_a_dormant_environment_with_max_of_min_and_need(backlog, starts):
    record = environment(2, 4, state=EnvironmentState.DORMANT)
    made = plan(snapshot(record, backlog=backlog))
    assert (made.state, started(made)) == (EnvironmentState.ACTIVE, starts)


# -- crash loop -----------------------------------------------------------------------------


@pytest.mark.parametrize(("deaths", "wait"), [(1, 1), (2, 2), (3, 4), (4, 8)])
def test_starts_wait_longer_after_every_young_death(deaths, wait):
    def made(ago: float) -> Plan:
        row = tuple(death(ago + n) for n in range(deaths))
        return plan(snapshot(environment(0, 4), backlog=8, deaths=row))

    early = made(wait - 0.1)
    assert started(early) == 0
    assert "exit code 4" in early.rest
    assert f"{wait} s" in early.rest
    assert started(made(wait + 0.1)) == 4
    assert made(0).degraded == ""


def test_after_five_young_deaths_the_environment_is_degraded_and_starts_one_probe_at_a_time():
    row = tuple(death(400 + n, detail="Traceback …\nValueError: no model") for n in range(50))
    seen = snapshot(environment(0, 4), backlog=8, deaths=row)
    made = plan(seen)
    assert started(made) == 1
    assert made.degraded.endswith("ValueError: no model")
    assert "50 replicas in a row" in made.degraded
    probing = snapshot(environment(0, 4), replica("probe", age=5), backlog=8, deaths=row)
    assert started(plan(probing)) == 0
    recent = snapshot(environment(0, 4), backlog=8, deaths=(death(299), *row))
    assert started(plan(recent)) == 0


def test_a_healthy_replica_ends_the_crash_loop():
    row = tuple(death(400 + n) for n in range(6))
    made = plan(snapshot(environment(0, 4), ready("probe", age=40), backlog=8, deaths=row))
    assert (started(made), made.degraded) == (3, "")


def test_one_old_healthy_replica_does_not_hide_that_new_ones_crash():
    row = tuple(death(400 + n) for n in range(6))
    made = plan(snapshot(environment(0, 4), ready("old", age=3000), backlog=8, deaths=row))
    assert made.degraded
    assert started(made) == 1


@pytest.mark.parametrize(
    "innocent",
    [
        {"held": 1},
        {"cause": "lease ran out"},
        {"cause": ended_by(93)},
        {"cause": LEFT_BEHIND},
        {"version": "v0"},
        {"was_ready": True, "age": 31},
    ],
    ids=[
        "a job is to blame",
        "nobody saw it end",
        "Redis was out of reach",
        "its agent was lost",
        "another version",
        "it had lived",
    ],
)
def test_deaths_that_say_nothing_against_the_code_do_not_count(innocent):
    row = tuple(death(0.1, **innocent) for _ in range(6))
    made = plan(snapshot(environment(0, 4), backlog=8, deaths=row))
    assert (started(made), made.degraded) == (4, "")


def test_deaths_of_long_ago_are_no_crash_loop():
    row = tuple(death(1000 + n) for n in range(6))
    assert started(plan(snapshot(environment(0, 4), backlog=8, deaths=row))) == 4


def test_an_environment_that_no_host_can_load_is_degraded_and_its_jobs_wait():
    record = environment(0, 4, versions=())
    made = plan(snapshot(record, backlog=3), broken="ImportError: no module app")
    assert made.degraded == "ImportError: no module app"
    assert [each.version for each in made.starts] == [""]


# -- no data, new leader --------------------------------------------------------------------


def test_a_new_leader_drains_nothing_before_it_has_watched_for_scaledown_ttl():
    idle = [ready(str(n), idle_for=5000) for n in range(3)]
    seen = snapshot(environment(0, 4), *idle, ready("busy", held=1))
    made, memory = decide(seen, None)
    assert made.actions == ()
    later = snapshot(environment(0, 4), *idle, ready("busy", held=1), at=at(61))
    assert len(drained(decide(later, memory)[0])) == 3


def test_a_new_leader_starts_the_idle_clock_anew():
    idle = ready("a", idle_for=5000)
    made, memory = decide(snapshot(environment(1, 4), idle), None)
    assert made.state is EnvironmentState.ACTIVE
    assert decide(snapshot(environment(1, 4), idle, at=at(120)), memory)[0].state is (
        EnvironmentState.DORMANT
    )


def test_an_environment_without_a_policy_is_left_alone():
    made = plan(snapshot(environment(policy=None), ready("a", idle_for=500), backlog=3))
    assert (made.actions, made.starts, made.want) == ((), (), 0)


# -- operators ------------------------------------------------------------------------------


@pytest.mark.parametrize("switch", ["paused", "suspended"])
def test_a_paused_environment_keeps_its_replicas_and_starts_none(switch: str):
    record = environment(3, 4, **{switch: True})
    made = plan(snapshot(record, ready("a", idle_for=500), backlog=8))
    assert (made.actions, made.starts, made.state) == ((), (), EnvironmentState.ACTIVE)
    assert plan(snapshot(record, ready("a", idle_for=500))).state is EnvironmentState.ACTIVE


def test_a_drained_environment_lets_all_go_the_busy_ones_too_and_starts_none():
    seen = snapshot(
        environment(2, 4, drained=True),
        ready("busy", held=2),
        ready("recallable", **LEAVING),
        replica("coming"),
        backlog=5,
    )
    made = plan(seen)
    assert drained(made, DrainReason.OPERATOR) == ["busy", "recallable", "coming"]
    assert all(each.force for each in made.actions)
    assert made.starts == ()


def test_an_override_takes_the_place_of_the_policys_bounds():
    assert started(plan(snapshot(environment(0, 1, override=(3, 5)), backlog=1))) == 3
    assert started(plan(snapshot(environment(0, 1, override=(3, 5)), backlog=99))) == 5


# -- new code version -----------------------------------------------------------------------

NEW = {"versions": ("v1", "v2")}


def test_a_new_version_is_started_up_to_need_before_the_old_one_goes():
    old = [ready(f"old{n}", held=2) for n in range(3)]
    made = plan(snapshot(environment(0, 3, **NEW), *old, backlog=4))
    assert [(each.version, each.count) for each in made.starts] == [("v2", 3)]
    assert made.actions == ()


def test_old_replicas_drain_as_new_ones_become_ready_the_idle_ones_first():
    old = [ready("busy", held=2), ready("idle"), replica("coming", age=5)]
    new = [ready("new", version="v2"), replica("next", version="v2")]
    made = plan(snapshot(environment(3, 3, **NEW), *old, *new))
    assert drained(made, DrainReason.VERSION) == ["coming"]
    both = [ready("new", version="v2"), ready("next", version="v2")]
    made = plan(snapshot(environment(3, 3, **NEW), *old, *both))
    assert drained(made, DrainReason.VERSION) == ["coming", "idle"]
    assert all(each.force for each in made.actions)


def test_a_change_of_versions_stays_within_the_maximum_and_its_surge():
    old = [ready(f"old{n}", idle_for=1) for n in range(3)]
    assert started(plan(snapshot(environment(3, 3, **NEW), *old), watched(10))) == 1
    assert started(plan(snapshot(environment(3, 3, **NEW), *old, backlog=4))) == 2


def test_a_new_version_takes_over_even_where_nothing_is_wanted():
    made = plan(snapshot(environment(0, 3, **NEW), ready("old", idle_for=1)), watched(10))
    assert [(each.version, each.count) for each in made.starts] == [("v2", 1)]
    assert made.actions == ()


def test_a_version_that_cannot_start_never_takes_down_one_that_serves():
    old = [ready(f"old{n}", held=1) for n in range(3)]
    row = tuple(death(400 + n, version="v2", was_ready=True, age=2) for n in range(6))
    for probe in (replica("p", version="v2"), ready("p", version="v2", age=3, idle_for=1)):
        made = plan(snapshot(environment(0, 3, **NEW), *old, probe, deaths=row))
        assert drained(made) == []
        assert made.degraded


def test_while_a_new_version_cannot_start_the_one_before_it_is_scaled_instead():
    for ago, probes in ((10, []), (100, [("v2", 1)])):
        row = tuple(death(ago + n, version="v2") for n in range(6))
        made = plan(snapshot(environment(0, 4, **NEW), ready("old", held=2), backlog=4, deaths=row))
        assert [(each.version, each.count) for each in made.starts] == [*probes, ("v1", 2)]


def test_where_no_host_offers_any_version_those_that_serve_go_on():
    made = plan(snapshot(environment(0, 3, versions=()), ready("a", held=2), backlog=2))
    assert made.actions == ()
    assert [(each.version, each.count) for each in made.starts] == [("", 1)]


# -- words ----------------------------------------------------------------------------------


def test_a_plan_says_what_calls_for_it():
    record = environment(0, 4, policy=policy(0, 4, concurrency=4))
    made = plan(snapshot(record, ready("a", held=4), backlog=8))
    assert made.why == "12 jobs want 3 replicas (4 per replica), 1 is there"


def test_the_reason_to_do_nothing_is_the_same_for_as_long_as_it_holds():
    first = plan(snapshot(environment(0, 4), ready("a", held=1), ready("b", idle_for=3)))
    second = plan(snapshot(environment(0, 4), ready("a", held=2), ready("b", idle_for=9)))
    assert first.rest == second.rest
    assert "1 replica wanted, 2 are there" in first.rest


def test_the_clock_is_the_snapshots():
    made, memory = decide(snapshot(environment(0, 4), at=NOW + timedelta(days=9)), None)
    assert memory.since == NOW + timedelta(days=9)
    assert made.state is EnvironmentState.ACTIVE
