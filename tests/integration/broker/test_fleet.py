"""Fleet: environments, hosts, and the life of a replica, as Redis has them."""

from datetime import timedelta

import pytest
import redis
from rq import Worker

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.fleet import Fleet
from reuse_queue.facts import DrainReason, EnvironmentState, ReplicaState
from reuse_queue.settings import Settings
from support.eventually import eventually_sync
from support.fleets import environment, policy
from support.roster import ENV, HOST, Roster, heard


@pytest.fixture
def roster(connection: Connection, raw: redis.Redis) -> Roster:
    return Roster(connection, raw)


# -- environments ---------------------------------------------------------------------------


def test_what_an_agent_announced_is_read_back_and_no_application_overwrites_it(roster: Roster):
    told = environment(
        1, 3, target="app:env", module="app", serializer="pickle", tasks=("app.a",), keep_warm=True
    )
    roster.run(roster.fleet.announce(told, "v1"))
    roster.run(roster.fleet.announce(environment(0, 9)))

    record = roster.seen().environment
    for name in ("policy", "target", "module", "serializer", "tasks", "keep_warm"):
        assert getattr(record, name) == getattr(told, name)
    assert record.state is EnvironmentState.ACTIVE
    assert record.active_since is not None
    assert roster.run(roster.fleet.environments()) == [ENV]


def test_reading_a_policy_does_not_warn_again_of_what_its_maker_was_warned_of(roster: Roster):
    small = environment(policy=policy(0, 1, concurrency=1))
    roster.run(roster.fleet.announce(small, "v1"))
    assert roster.seen().environment.policy == small.policy


def test_an_announcement_leaves_what_operators_set_and_the_state_as_they_are(roster: Roster):
    roster.run(roster.scaling.pause(ENV, paused=True))
    roster.run(roster.scaling.override(ENV, (0, 7)))
    roster.raw.hset(roster.keys.environment(ENV), "state", "dormant")

    roster.run(roster.fleet.announce(environment(0, 2), "v2"))

    record = roster.seen().environment
    assert (record.paused, record.bounds) == (True, (0, 7))
    assert record.state is EnvironmentState.DORMANT


def test_news_about_an_environment_wake_the_scaler_and_repeats_do_not(roster: Roster):
    pubsub = roster.listen(roster.keys.wake_channel())
    roster.run(roster.fleet.announce(environment(0, 4), "v1"))
    assert heard(pubsub) == []
    roster.run(roster.fleet.announce(environment(0, 5), "v1"))
    assert heard(pubsub) == [ENV]
    pubsub.close()


# -- hosts ----------------------------------------------------------------------------------


def test_a_host_is_read_back_until_its_agent_takes_it_off_the_books(roster: Roster):
    told = roster.host(draining=True, broken={"app:env": "Traceback"}, max_replicas=9)
    assert roster.run(roster.fleet.host_sync(told)) is True

    (found,) = roster.run(roster.fleet.hosts())
    for name in ("name", "agent", "max_replicas", "offers", "draining", "broken"):
        assert getattr(found, name) == getattr(told, name)

    roster.run(roster.fleet.host_gone(HOST, "another agent"))
    assert len(roster.run(roster.fleet.hosts())) == 1
    roster.run(roster.fleet.host_gone(HOST, "one"))
    assert roster.run(roster.fleet.hosts()) == []


def test_a_second_live_agent_of_one_name_is_refused_unless_it_takes_over(roster: Roster):
    assert roster.run(roster.fleet.host_sync(roster.host(agent="two"))) is False
    assert roster.run(roster.fleet.hosts())[0].agent == "one"
    assert roster.run(roster.fleet.host_sync(roster.host(agent="two"), takeover=True)) is True
    assert roster.run(roster.fleet.host_sync(roster.host(agent="one"))) is False


def test_a_host_whose_lease_ran_out_is_gone_and_its_name_free(roster: Roster):
    brief = Fleet(
        roster.keys,
        Settings(lease=timedelta(milliseconds=20), heartbeat=timedelta(milliseconds=5)),
    )
    roster.run(brief.host_sync(roster.host()))
    eventually_sync(lambda: roster.run(roster.fleet.hosts()) == [])
    assert roster.run(roster.fleet.host_sync(roster.host(agent="two"))) is True


def test_versions_are_those_that_live_hosts_offer_the_newest_last(roster: Roster):
    def versions() -> tuple[str, ...]:
        return roster.seen().environment.versions

    other = roster.host(name="other", agent="two", offers={ENV: "v2"})
    roster.run(roster.fleet.host_sync(other))
    assert versions() == ("v1", "v2")
    roster.run(roster.fleet.host_sync(roster.host(offers={ENV: "v2"})))
    assert versions() == ("v2",)
    # What nobody had offered any more is the newest when it returns: a roll-back.
    roster.run(roster.fleet.host_sync(roster.host(offers={ENV: "v1"})))
    assert versions() == ("v2", "v1")
    roster.run(roster.fleet.host_gone(HOST, "one"))
    assert versions() == ("v2",)


def test_what_a_host_can_start_is_news_for_the_scaler_once(roster: Roster):
    pubsub = roster.listen(roster.keys.wake_channel())
    roster.run(roster.fleet.host_sync(roster.host()))
    assert heard(pubsub) == []
    roster.run(roster.fleet.host_sync(roster.host(offers={}, broken={ENV: "Traceback"})))
    assert heard(pubsub) == [ENV]
    pubsub.close()


# -- replicas -------------------------------------------------------------------------------


def test_a_replica_goes_from_its_order_to_its_departure(roster: Roster):
    assert roster.order() == 1
    (ordered,) = roster.run(roster.fleet.assigned(HOST, ["unknown", ENV]))
    assert (ordered.name, ordered.state, ordered.version) == ("r1", ReplicaState.ORDERED, "v1")
    assert ordered.lease_until is not None

    assert roster.register()
    assert roster.state() is ReplicaState.STARTING
    assert roster.run(roster.fleet.ready(ENV, "r1"))
    found = roster.replica()
    assert found is not None
    assert (found.state, found.pid, found.held) == (ReplicaState.READY, 7, 0)
    assert found.ready_at == found.idle_since is not None
    assert roster.raw.zscore(roster.keys.held(ENV), "r1") == 0

    assert roster.run(roster.fleet.depart(ENV, "r1")) is False
    assert roster.run(roster.fleet.drain(ENV, "r1", DrainReason.OPERATOR))
    assert roster.raw.zscore(roster.keys.held(ENV), "r1") is None
    assert roster.run(roster.fleet.depart(ENV, "r1"))
    assert roster.state() is ReplicaState.STOPPING


def test_a_replica_departs_only_when_it_holds_nothing(roster: Roster):
    roster.start()
    roster.hold("r1", "job")
    roster.run(roster.fleet.drain(ENV, "r1", DrainReason.OPERATOR))
    assert roster.run(roster.fleet.depart(ENV, "r1")) is False
    roster.raw.delete(roster.keys.worker_executions("r1"))
    roster.raw.rpush(roster.keys.waiting(ENV, "r1"), "about to be claimed")
    assert roster.run(roster.fleet.depart(ENV, "r1")) is False


def test_steps_of_a_replica_whose_reply_was_lost_bear_a_repeat(roster: Roster):
    roster.order()
    assert roster.register(pid=7)
    assert roster.register(pid=7)
    assert not roster.register(pid=8)
    assert roster.run(roster.fleet.ready(ENV, "r1"))
    assert roster.run(roster.fleet.ready(ENV, "r1"))
    assert not roster.register(pid=7)


def test_an_order_that_is_drained_before_its_process_came_is_off_the_books(roster: Roster):
    roster.order()
    orders = roster.listen(roster.keys.orders_channel(HOST))
    assert roster.run(roster.fleet.drain(ENV, "r1", DrainReason.OPERATOR))
    assert heard(orders) == [ENV]
    assert not roster.register()
    assert roster.seen().replicas == ()
    assert roster.run(roster.fleet.assigned(HOST, [ENV])) == []
    assert roster.raw.keys("*r1*") == []
    orders.close()


def test_a_replica_that_is_drained_while_it_starts_does_not_become_ready(roster: Roster):
    roster.order()
    roster.register()
    assert roster.run(roster.fleet.drain(ENV, "r1", DrainReason.VERSION))
    assert not roster.run(roster.fleet.ready(ENV, "r1"))
    assert roster.state() is ReplicaState.DRAINING


def test_steps_of_unknown_replicas_say_so(roster: Roster):
    assert not roster.register("nobody")
    assert not roster.run(roster.fleet.ready(ENV, "nobody"))
    assert not roster.run(roster.fleet.drain(ENV, "nobody", DrainReason.HOST))
    assert not roster.run(roster.fleet.depart(ENV, "nobody"))
    assert roster.run(roster.fleet.beat(ENV, "nobody")).state is None


def test_ready_wakes_the_scaler_where_it_asked_for_news(roster: Roster):
    roster.order()
    roster.register()
    roster.run(roster.scaling.snapshot(ENV, poke=True))
    pubsub = roster.listen(roster.keys.wake_channel())
    roster.run(roster.fleet.ready(ENV, "r1"))
    assert heard(pubsub) == [ENV]
    pubsub.close()


def test_a_drain_is_told_to_the_replica_and_to_its_agent_at_once(roster: Roster):
    roster.start()
    pubsub = roster.listen(roster.keys.replica_channel("r1"), roster.keys.orders_channel(HOST))
    roster.run(roster.fleet.drain(ENV, "r1", DrainReason.OPERATOR))
    assert heard(pubsub) == ['{"command":"beat"}', ENV]
    pubsub.close()


# -- beats ----------------------------------------------------------------------------------


def test_a_beat_extends_the_lease_and_all_that_hangs_on_it(roster: Roster):
    roster.start()
    roster.hold("r1", "job")
    keys, raw = roster.keys, roster.raw
    raw.zadd(keys.replicas(ENV), {"r1": 1})
    raw.hset(keys.execution("job", "execution-of-job"), "id", "x")
    raw.zadd(keys.executions("job"), {"execution-of-job": 1})
    raw.expire(keys.worker("r1"), 1)

    roster.run(roster.fleet.beat(ENV, "r1"))

    now_s = raw.time()[0]
    assert (raw.zscore(keys.replicas(ENV), "r1") or 0) >= (now_s + 29) * 1000
    assert (raw.zscore(keys.registry("wip", ENV), "job:execution-of-job") or 0) >= now_s + 89
    for key in (
        keys.worker("r1"),
        keys.worker_executions("r1"),
        keys.executions("job"),
        keys.execution("job", "execution-of-job"),
    ):
        assert 80 <= raw.ttl(key) <= 90


def test_a_beat_brings_the_orders(roster: Roster):
    roster.start()
    beat = roster.run(roster.fleet.beat(ENV, "r1"))
    assert (beat.state, beat.reason, beat.cancel) == (ReplicaState.READY, None, ())
    roster.raw.sadd(roster.keys.cancels(ENV, "r1"), "execution")
    roster.run(roster.fleet.drain(ENV, "r1", DrainReason.VERSION))
    beat = roster.run(roster.fleet.beat(ENV, "r1"))
    assert (beat.state, beat.reason) == (ReplicaState.DRAINING, DrainReason.VERSION)
    assert (beat.cancel, beat.stop_grace_over) == (("execution",), False)


def test_only_the_drain_of_a_host_that_stops_has_an_end(roster: Roster):
    roster.start()
    for reason, over in ((DrainReason.SCALE_DOWN, False), (DrainReason.HOST, True)):
        roster.run(roster.fleet.drain(ENV, "r1", reason))
        roster.raw.hset(roster.keys.replica(ENV, "r1"), "drain_at", 1)
        assert roster.run(roster.fleet.beat(ENV, "r1")).stop_grace_over is over


def test_the_beat_of_a_replica_that_is_off_the_books_does_not_bring_it_back(roster: Roster):
    roster.start()
    roster.raw.zrem(roster.keys.replicas(ENV), "r1")
    assert roster.run(roster.fleet.beat(ENV, "r1")).state is None
    assert roster.raw.zscore(roster.keys.replicas(ENV), "r1") is None


# -- as rq sees it --------------------------------------------------------------------------


def test_rq_sees_a_replica_as_a_worker_of_its_queue(roster: Roster):
    roster.order()
    roster.register()
    (worker,) = Worker.all(connection=roster.raw)
    assert (worker.name, worker.pid, worker.hostname) == ("r1", 7, HOST)
    assert worker.queue_names() == [ENV]
    assert worker.get_state() == "started"
    assert (worker.version, worker.python_version) == ("3.0", "3.11.2")
    assert worker.ip_address
    assert worker.birth_date == worker.last_heartbeat is not None
    assert 80 <= roster.raw.ttl(worker.key) <= 90
    roster.run(roster.fleet.ready(ENV, "r1"))
    assert Worker.all(queue=worker.queues[0])[0].get_state() == "idle"
