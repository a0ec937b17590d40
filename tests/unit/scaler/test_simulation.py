"""The scaler against a made-up fleet on a virtual clock: stories, and what holds in every story."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from reuse_queue.facts import (
    ActionKind,
    Decision,
    DrainReason,
    EnvironmentState,
    ReplicaState,
)
from reuse_queue.scaler.decide import decide
from support.fleets import at, environment, host, policy, ready, replica, snapshot, watched
from support.simulation import Simulation

READY = ReplicaState.READY


def fleet(low: int = 0, high: int = 4, room: int = 20, **fields) -> Simulation:
    return Simulation(environment(low, high, **fields), [host(room=room)])


def drains(decided: Decision, reason: DrainReason) -> list[str]:
    return [
        each.replica
        for each in decided.actions
        if each.kind is ActionKind.DRAIN and each.reason is reason
    ]


def starts(decided: Decision) -> list[str]:
    return [each.replica for each in decided.actions if each.kind is not ActionKind.DRAIN]


# -- stories --------------------------------------------------------------------------------


def test_a_burst_is_met_at_once_worked_off_and_then_let_go_step_by_step():
    sim = fleet()
    sim.enqueue(*[10] * 8)
    assert len(starts(sim.step())) == 4
    sim.step(20)
    assert (sim.done, sim.count(READY)) == (8, 4)
    sim.step(50)
    assert sim.count() == 4
    sim.step(20)
    assert (sim.count(), sim.record.state) == (0, EnvironmentState.ACTIVE)
    sim.step(60)
    assert sim.record.state is EnvironmentState.DORMANT
    sim.enqueue(1)
    sim.step(4)
    assert (sim.done, sim.record.state) == (9, EnvironmentState.ACTIVE)


def test_a_steady_trickle_keeps_one_replica_and_starts_no_other():
    sim = fleet()
    for _ in range(30):
        sim.enqueue(1)
        sim.step(10)
    assert (sim.done, sim.count(READY)) == (30, 1)
    assert sum(len(starts(decided)) for _, _, decided in sim.history) == 1


def test_minima_are_back_after_the_environment_has_slept():
    sim = fleet(2, 4)
    sim.step(5)
    assert sim.count(READY) == 2
    sim.step(120)
    assert (sim.count(), sim.record.state) == (0, EnvironmentState.DORMANT)
    sim.enqueue(1)
    sim.step(3)
    assert sim.count(READY) == 2


def test_a_version_that_cannot_start_is_tried_ever_more_seldom_and_then_one_at_a_time():
    sim = fleet()
    sim.dies = lambda version: True
    sim.enqueue(*[1] * 8)
    sim.step(1200)
    tries = [now for now, _, decided in sim.history if starts(decided)]
    assert len(tries) < 15
    assert max(len(starts(decided)) for now, _, decided in sim.history if now > 20) == 1
    assert all(300 <= later - now <= 305 for now, later in list(pairwise(tries))[-2:])
    assert sim.history[-1][2].degraded

    sim.dies = lambda version: False
    sim.step(360)
    assert (sim.done, sim.history[-1][2].degraded) == (8, "")


def test_a_new_version_takes_over_without_a_gap():
    sim = fleet(3, 3, keep_warm=True)
    sim.step(5)
    sim.enqueue(*[30] * 6)
    sim.step()
    sim.record = replace(sim.record, versions=("v1", "v2"))
    sim.hosts = [host("a", 20), host("b", 20, offers={"classify": "v2"})]
    for _ in range(60):
        sim.step()
        assert sim.count(READY) >= 3
    assert (sim.count(version="v1"), sim.count(READY, version="v2"), sim.done) == (0, 3, 6)


def test_a_new_version_that_cannot_start_leaves_the_old_one_serving():
    sim = fleet(2, 3, keep_warm=True)
    sim.step(5)
    sim.record = replace(sim.record, versions=("v1", "v2"))
    sim.hosts = [host("a", 20), host("b", 20, offers={"classify": "v2"})]
    sim.dies = lambda version: version == "v2"
    for second in range(400):
        if second % 20 == 0:
            sim.enqueue(5)
        sim.step()
        assert sim.count(READY, version="v1") >= 2
    assert sim.done == 20
    assert "v2" in sim.history[-1][2].degraded


def test_two_environments_share_a_host_that_is_too_small_for_both():
    sim, other = fleet(0, 4, room=4), fleet(0, 4, room=4, name="other")
    sim.outlook = other.outlook
    sim.hosts = other.hosts = [host(room=4, offers={"classify": "v1", "other": "v1"})]
    sim.enqueue(*[100] * 8)
    other.enqueue(*[100] * 8)
    decided = sim.outlook.decide(sim.hosts, [sim.seen(), other.seen()])
    assert [len(starts(each)) for each in decided] == [2, 2]
    assert decided[0].unschedulable == "2 more wanted, hosts are full: a 4/4"
    assert decided[0].reason.endswith("none is there: start 2 on a")


# -- what holds in every story --------------------------------------------------------------

events = st.lists(
    st.tuples(
        st.integers(1, 45),  # seconds that pass
        st.lists(st.integers(1, 40), max_size=12),  # jobs that come then
    ),
    min_size=1,
    max_size=12,
)
bounds = st.integers(0, 3).flatmap(lambda low: st.tuples(st.just(low), st.integers(max(low, 1), 5)))


def replayed(low_high: tuple[int, int], concurrency: int, starts_in: int, story) -> Simulation:
    sim = Simulation(
        environment(policy=policy(*low_high, concurrency=concurrency, idle=40, down=30)),
        [host("a", 3), host("b", 3)],
        starts_in=starts_in,
    )
    for seconds, jobs in story:
        sim.enqueue(*jobs)
        sim.step(seconds)
    return sim


any_story = given(bounds, st.integers(1, 3), st.integers(1, 20), events)
few = settings(max_examples=60, deadline=None)


@any_story
@few
def test_what_is_wanted_and_what_is_there_stay_within_the_bounds(
    low_high, concurrency, slow, story
):
    low, high = low_high
    for _, seen, decided in replayed(low_high, concurrency, slow, story).history:
        if decided.state is EnvironmentState.ACTIVE:
            assert low <= decided.want <= high
        assert decided.supply + len(starts(decided)) <= high
        assert decided.supply <= len(seen.replicas)


@any_story
@few
def test_supply_reaches_the_minimum_and_the_need_at_once_where_hosts_allow(
    low_high, concurrency, slow, story
):
    low, high = low_high
    for _, seen, decided in replayed(low_high, concurrency, slow, story).history:
        if decided.state is EnvironmentState.ACTIVE and not decided.unschedulable:
            need = -(-seen.demand // concurrency)
            assert decided.supply + len(starts(decided)) >= max(low, min(need, high))


@any_story
@few
def test_no_busy_replica_is_drained_and_none_before_its_time(low_high, concurrency, slow, story):
    for now, seen, decided in replayed(low_high, concurrency, slow, story).history:
        known = {each.name: each for each in seen.replicas}
        gone = drains(decided, DrainReason.SCALE_DOWN)
        for name in gone:
            since = known[name].idle_since
            assert known[name].held == 0
            assert since is not None
            assert since <= at(now - 30)
        if gone:
            assert decided.supply - len(gone) >= max(low_high[0], decided.want)


@any_story
@few
def test_dormant_means_that_nobody_wanted_anything_for_idle_ttl(low_high, concurrency, slow, story):
    last, before = 0, EnvironmentState.ACTIVE
    for now, seen, decided in replayed(low_high, concurrency, slow, story).history:
        if seen.demand:
            last = now
        if decided.state is EnvironmentState.DORMANT and before is EnvironmentState.ACTIVE:
            assert now - last >= 39  # the first look, which starts the clock, is at second 1
        if decided.state is EnvironmentState.DORMANT:
            assert not seen.demand
        before = decided.state


@any_story
@few
def test_nothing_is_drained_within_scaledown_ttl_of_a_start(low_high, concurrency, slow, story):
    started = -1000
    for now, _, decided in replayed(low_high, concurrency, slow, story).history:
        if drains(decided, DrainReason.SCALE_DOWN):
            assert now - started >= 30
        if starts(decided):
            started = now


@given(
    held=st.lists(st.integers(0, 2), min_size=1, max_size=4),
    backlog=st.integers(0, 9),
    idle_for=st.integers(0, 500),
    probe=st.sampled_from(ReplicaState),
)
@few
def test_no_snapshot_lets_an_unproven_version_take_down_one_that_serves(
    held, backlog, idle_for, probe
):
    old = [ready(f"old{n}", held=each, idle_for=idle_for) for n, each in enumerate(held)]
    new = replica("new", version="v2", state=probe, idle_since=at(0))
    record = environment(len(held), 4, versions=("v1", "v2"), keep_warm=True)
    plan, _ = decide(snapshot(record, *old, new, backlog=backlog), watched())
    gone = [each.replica for each in plan.actions if each.kind is ActionKind.DRAIN]
    assert not gone or probe is READY
    assert len(old) + (probe is READY) - len(gone) >= min(plan.want, len(held))
