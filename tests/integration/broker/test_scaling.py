"""Scaling: the lead, snapshots, and decisions that take effect only where they still fit."""

from datetime import timedelta

import pytest
import redis
from rq import Queue

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.keys import Keys
from reuse_queue.broker.lease import Leases, new_token
from reuse_queue.broker.queue import JobQueue
from reuse_queue.broker.scaling import Scaling
from reuse_queue.errors import LeadLost, UnknownEnvironment
from reuse_queue.facts import (
    Action,
    ActionKind,
    DrainReason,
    EnvironmentState,
    ReplicaState,
)
from reuse_queue.job import NewJob, Terms
from support.eventually import eventually_sync
from support.fleets import environment
from support.roster import ENV, HOST, TOKEN, Roster, heard

DORMANT = EnvironmentState.DORMANT


@pytest.fixture
def roster(connection: Connection, raw: redis.Redis) -> Roster:
    return Roster(connection, raw)


def enqueue(roster: Roster, *ids: str) -> None:
    jobs = [
        NewJob(id=each, data=b'["app.a"]', terms=Terms(description="", timeout=None))
        for each in ids
    ]
    roster.run(JobQueue(roster.keys).enqueue(ENV, jobs))


# -- the lead -------------------------------------------------------------------------------


def test_one_scaler_leads_until_it_resigns_and_every_change_has_a_higher_number(roster: Roster):
    scaling, ttl = roster.scaling, timedelta(minutes=1)
    first = roster.run(scaling.lead(TOKEN, ttl))
    assert first == roster.run(scaling.lead(TOKEN, ttl)) > 0
    assert roster.run(scaling.lead("another", ttl)) == 0
    roster.run(scaling.resign("another"))
    assert roster.run(scaling.lead("another", ttl)) == 0
    roster.run(scaling.resign(TOKEN))
    assert roster.run(scaling.lead("another", ttl)) == first + 1


def test_a_lead_that_is_not_kept_ends_and_counts_as_a_change_even_for_the_same_one(roster: Roster):
    first = roster.run(roster.scaling.lead(TOKEN, timedelta(milliseconds=1)))
    eventually_sync(lambda: roster.raw.get(roster.keys.leader()) is None)
    assert roster.run(roster.scaling.lead(TOKEN, timedelta(minutes=1))) == first + 1


def test_an_older_leader_is_refused_and_changes_nothing(roster: Roster):
    start = Action(kind=ActionKind.START, replica="r1", host=HOST, version="v1")
    with pytest.raises(LeadLost):
        roster.apply([start], token="an older leader", state=DORMANT, degraded="why")
    assert roster.seen().replicas == ()
    assert roster.seen().environment.state is EnvironmentState.ACTIVE
    assert roster.run(roster.scaling.decisions(ENV, 9)) == []


# -- snapshots ------------------------------------------------------------------------------


def test_a_snapshot_counts_what_wants_a_slot_now(roster: Roster):
    roster.start("r1")
    roster.start("r2")
    roster.hold("r1", "a", "b")
    roster.raw.rpush(roster.keys.queue(ENV), "c", "d")
    roster.raw.rpush(roster.keys.urgent(ENV), "e")
    roster.raw.rpush(roster.keys.waiting(ENV, "r2"), "f")
    now_s = roster.raw.time()[0]
    due = {"g": now_s - 1, "later": now_s + 60, "much later": now_s + 600}
    roster.raw.zadd(roster.keys.registry("scheduled", ENV), due)
    roster.raw.hset(roster.keys.environment(ENV), mapping={"finished": 7, "failed": 2})

    seen = roster.seen()

    assert (seen.backlog, seen.claimed, seen.scheduled, seen.demand) == (5, 2, 2, 7)
    assert (seen.finished_total, seen.failed_total) == (7, 2)
    assert {each.name: each.held for each in seen.replicas} == {"r1": 2, "r2": 0}
    assert abs(seen.at.timestamp() - now_s) < 60


def test_jobs_that_only_wait_for_others_are_no_demand_as_far_as_they_are_still_held(
    roster: Roster,
):
    roster.start("r1")
    enqueue(roster, "a", "b", "c")
    leases = Leases(roster.keys, ENV, roster.connection.settings)
    roster.run(leases.claim("r1", 3, new_token()))
    roster.run(roster.fleet.beat(ENV, "r1", 2))
    seen = roster.run(roster.scaling.snapshot(ENV, poke=False))
    assert (seen.claimed, seen.waiting, seen.demand) == (3, 2, 1)
    roster.run(leases.claim("r1", 1, new_token(), 5))
    assert roster.run(roster.scaling.snapshot(ENV, poke=False)).demand == 0


def test_a_snapshot_brings_the_newest_deaths_first_and_no_more_than_fifty(roster: Roster):
    for n in range(60):
        fields = {"replica": f"r{n}", "host": HOST, "version": "v1", "at": 1000 + n, "cause": "x"}
        died = {**fields, "was_ready": 1, "age": 2500, "detail": "why", "held": 3}
        roster.raw.xadd(roster.keys.deaths(ENV), died)  # type: ignore[arg-type]
    newest, *rest = roster.seen().deaths
    assert (newest.replica, newest.cause, newest.detail, newest.held) == ("r59", "x", "why", 3)
    assert (newest.was_ready, newest.age) == (True, timedelta(seconds=2.5))
    assert (len(rest), rest[-1].replica) == (49, "r10")


def test_a_queue_that_only_rq_knows_has_a_snapshot_and_an_unknown_name_has_none(roster: Roster):
    Queue("stock", connection=roster.raw).enqueue("app.a")
    seen = roster.run(roster.scaling.snapshot("stock", poke=True))
    assert (seen.backlog, seen.environment.policy, seen.replicas) == (1, None, ())
    assert not roster.raw.exists(roster.keys.environment("stock"))
    with pytest.raises(UnknownEnvironment, match="'nothing'"):
        roster.run(roster.scaling.snapshot("nothing", poke=False))


def test_only_a_look_that_pokes_is_followed_by_a_wake_and_by_one(roster: Roster):
    pubsub = roster.listen(roster.keys.wake_channel())
    roster.seen()
    enqueue(roster, "a")
    assert heard(pubsub) == []
    roster.run(roster.scaling.snapshot(ENV, poke=True))
    enqueue(roster, "b")
    enqueue(roster, "c")
    assert heard(pubsub) == [ENV]
    pubsub.close()


def test_records_that_cannot_be_read_do_not_hide_the_others(roster: Roster):
    roster.order("good")
    roster.raw.zadd(roster.keys.replicas(ENV), {"no record": 1, "odd": 2})
    roster.raw.hset(roster.keys.replica(ENV, "odd"), mapping={"state": "?", "pid": "x"})
    roster.raw.hset(
        roster.keys.environment(ENV), mapping={"policy": "{", "override": "x", "tasks": "7"}
    )
    seen = roster.seen()
    assert [each.name for each in seen.replicas] == ["good"]
    assert (seen.environment.policy, seen.environment.override) == (None, None)
    assert seen.environment.tasks == ()


# -- decisions ------------------------------------------------------------------------------


def test_a_start_is_ordered_once_and_told_to_its_host(roster: Roster):
    orders = roster.listen(roster.keys.orders_channel(HOST))
    assert (roster.order(), roster.order()) == (1, 0)
    assert heard(orders) == [ENV]
    assert roster.state() is ReplicaState.ORDERED
    orders.close()


def test_nothing_is_started_on_a_host_that_is_gone_or_where_an_operator_drained(roster: Roster):
    assert roster.order(host="gone") == 0
    roster.run(roster.scaling.drain_environment(ENV, drained=True))
    assert roster.order() == 0
    roster.run(roster.scaling.drain_environment(ENV, drained=False))
    assert roster.order() == 1


@pytest.mark.parametrize("busy", ["held", "about to be claimed"])
def test_only_a_forced_drain_takes_a_busy_replica(roster: Roster, busy):
    roster.start()
    if busy == "held":
        roster.hold("r1", "job")
    else:
        roster.raw.rpush(roster.keys.waiting(ENV, "r1"), "job")
    assert roster.drain("r1") == 0
    assert roster.state() is ReplicaState.READY
    assert roster.drain("r1", DrainReason.VERSION, force=True) == 1
    assert roster.state() is ReplicaState.DRAINING


def test_a_drain_for_want_of_demand_can_be_called_off(roster: Roster):
    roster.start()
    roster.drain("r1")
    pubsub = roster.listen(roster.keys.replica_channel("r1"))
    assert (roster.undrain("r1"), roster.undrain("r1")) == (1, 0)
    assert len(heard(pubsub)) == 1
    found = roster.replica()
    assert found is not None
    assert (found.state, found.drain_reason) == (ReplicaState.READY, None)
    assert roster.raw.zscore(roster.keys.held(ENV), "r1") == 0
    assert not roster.run(roster.fleet.depart(ENV, "r1"))
    pubsub.close()


def test_a_departed_or_an_operators_drain_cannot_be_called_off(roster: Roster):
    roster.start("gone")
    roster.drain("gone")
    roster.run(roster.fleet.depart(ENV, "gone"))
    roster.start("told")
    roster.drain("told")
    roster.run(roster.fleet.drain(ENV, "told", DrainReason.OPERATOR))
    assert (roster.undrain("gone"), roster.undrain("told")) == (0, 0)


def test_an_environment_goes_dormant_only_while_there_is_still_no_demand(roster: Roster):
    roster.start()
    idle = Action(kind=ActionKind.DRAIN, replica="r1", host=HOST, reason=DrainReason.IDLE)
    enqueue(roster, "came meanwhile")
    assert roster.apply([idle], state=DORMANT) == 0
    assert roster.seen().environment.state is EnvironmentState.ACTIVE
    assert roster.state() is ReplicaState.READY
    roster.raw.delete(roster.keys.queue(ENV))
    assert roster.apply([idle], state=DORMANT) == 1
    assert roster.seen().environment.state is DORMANT


def test_an_enqueue_to_a_dormant_environment_wakes_it_and_the_scaler(roster: Roster):
    roster.apply(state=DORMANT)
    before = roster.seen().environment.active_since
    pubsub = roster.listen(roster.keys.wake_channel())
    enqueue(roster, "a")
    assert heard(pubsub) == [ENV]
    record = roster.seen().environment
    assert record.state is EnvironmentState.ACTIVE
    assert record.active_since is not None
    assert before is not None
    assert record.active_since > before
    pubsub.close()


def test_decisions_are_kept_with_the_actions_that_took_effect(roster: Roster):
    roster.start("idle")
    roster.start("busy")
    roster.hold("busy", "job")
    drains = [
        Action(kind=ActionKind.DRAIN, replica=name, host=HOST, reason=DrainReason.SCALE_DOWN)
        for name in ("idle", "busy")
    ]
    given = {"want": 1, "supply": 2, "demand": 1, "unschedulable": "no room", "degraded": "a\nb"}
    at = roster.seen().at
    assert roster.apply(drains, "quotes \" and 'é'", at=at, **given) == 1
    newest = roster.run(roster.scaling.decisions(ENV, 1))[0]
    assert newest.actions == (drains[0],)
    assert newest.reason == "quotes \" and 'é'"
    assert newest.at == at
    for name, value in given.items():
        assert getattr(newest, name) == value


def test_a_decision_that_does_nothing_is_kept_only_for_its_new_reason(roster: Roster):
    for reason in ("first", "first", "second", "second", "first"):
        roster.apply(reason=reason)
    kept = roster.run(roster.scaling.decisions(ENV, 9))
    assert [each.reason for each in kept] == ["first", "second", "first"]


def test_why_an_environment_is_degraded_is_shown_until_it_is_not(roster: Roster):
    roster.apply(degraded="ValueError: no model")
    assert roster.seen().environment.degraded == "ValueError: no model"
    roster.apply()
    assert roster.seen().environment.degraded == ""


# -- operators ------------------------------------------------------------------------------


def test_what_operators_set_is_shown_until_they_take_it_back_and_wakes_the_scaler(roster: Roster):
    pubsub = roster.listen(roster.keys.wake_channel())
    scaling = roster.scaling
    roster.run(scaling.pause(ENV, paused=True))
    roster.run(scaling.drain_environment(ENV, drained=True))
    roster.run(scaling.override(ENV, (2, 5)))
    record = roster.seen().environment
    assert (record.paused, record.drained, record.bounds) == (True, True, (2, 5))
    assert heard(pubsub) == [ENV] * 3
    roster.run(scaling.pause(ENV, paused=False))
    roster.run(scaling.drain_environment(ENV, drained=False))
    roster.run(scaling.override(ENV, None))
    record = roster.seen().environment
    assert (record.paused, record.drained, record.bounds) == (False, False, (0, 4))
    pubsub.close()


@pytest.mark.parametrize(("bounds", "state"), [((1, 4), "active"), ((0, 4), "dormant")])
def test_who_asks_for_a_minimum_wakes_a_dormant_environment(roster: Roster, bounds, state):
    roster.apply(state=DORMANT)
    roster.run(roster.scaling.override(ENV, bounds))
    assert roster.seen().environment.state == state


def test_a_prefix_of_rqs_keys_keeps_fleets_apart(roster: Roster, connection: Connection):
    keys = Keys("{other}")
    fleet, scaling = Fleet(keys, connection.settings), Scaling(keys, connection.settings)
    assert roster.run(fleet.environments()) == []
    roster.run(fleet.announce(environment(name="elsewhere"), "v1"))
    assert roster.run(scaling.snapshot("elsewhere", poke=True)).environment.policy is not None
    assert roster.run(roster.fleet.environments()) == [ENV]
