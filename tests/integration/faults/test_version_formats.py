"""Releases of different age on one Redis: what is older is served, what is newer is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from click.testing import CliRunner

import reuse_queue
from reuse_agent.reconcile import Deed, Do, Here, reconcile
from reuse_queue import NewerFormat, ReusePolicy, Settings, TaskEnvironment
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.lease import Leases
from reuse_queue.broker.queue import JobQueue
from reuse_queue.cli import commands
from reuse_queue.facts import FORMAT, DrainReason, ReplicaState
from reuse_queue.job import JobStatus
from reuse_queue.scaler.looks import Looks
from support import keyspace
from support.fleets import environment
from support.roster import ENV, HOST, TOKEN, Roster
from support.site import finished

NEXT = str(FORMAT + 1)


@pytest.fixture
def roster(connection: Connection, raw: redis.Redis) -> Roster:
    return Roster(connection, raw)


def test_lua_and_python_write_the_same_format():
    text = Path(reuse_queue.__file__).parent / "broker/lua/lib/orders.lua"
    found = re.search(r"^local FORMAT = (\d+)$", text.read_text(), re.MULTILINE)
    assert found is not None
    assert int(found[1]) == FORMAT


def test_every_record_says_its_format(roster: Roster, raw: redis.Redis):
    roster.order("r1")
    keys = roster.keys
    for key in (keys.environment(ENV), keys.host(HOST), keys.replica(ENV, "r1")):
        assert raw.hget(key, "format") == str(FORMAT).encode()


# -- older records, as that release wrote them ------------------------------------------------


@pytest.fixture
def before(connection: Connection, raw: redis.Redis) -> Roster:
    """What a release that knew no formats has left, its leases running."""
    made = Roster(connection, raw)
    raw.flushall()
    keyspace.load(raw, "before-formats")
    seconds, micros = raw.time()
    soon = seconds * 1000 + micros // 1000 + 30_000
    raw.zadd(made.keys.replicas(ENV), {"r1": soon, "r3": soon})
    raw.zadd(made.keys.hosts(), {HOST: soon})
    raw.zadd(made.keys.registry("scheduled", ENV), dict.fromkeys(scheduled(raw), 1))
    return made


def scheduled(raw: Any) -> list[bytes]:
    found: list[bytes] = raw.zrange("rq:scheduled:classify", 0, -1)
    return found


def test_an_older_release_s_fleet_is_scaled_and_its_jobs_end(before: Roster, raw: Any):
    seen = before.seen()
    assert seen.environment.policy is not None
    assert [(each.name, each.state) for each in seen.replicas] == [
        ("r1", ReplicaState.READY),
        ("r3", ReplicaState.ORDERED),
    ]
    assert [death.cause for death in seen.deaths] == ["exit code 4"]
    assert before.run(before.scaling.decisions(ENV, 10))
    [host] = before.run(before.fleet.hosts())
    assert host.offers == {ENV: "v1"}
    # Its agent's lease has run out; this release's takes the lead, and the host.
    raw.delete(before.keys.leader())
    assert before.run(before.scaling.lead(TOKEN, timedelta(minutes=1)))
    assert before.register("r3")
    assert before.run(before.fleet.beat(ENV, "r1")).state is ReplicaState.READY
    queue = JobQueue(before.keys)
    assert before.run(queue.due(ENV)) == 1
    leases = Leases(before.keys, ENV, before.connection.settings)
    # Off go the jobs that the older replica holds.
    assert before.run(leases.release("r1", known=[])) == 1
    claim = before.run(leases.claim("r1", 10, "9" * 32))
    before.run(leases.finish("r1", [finished(job) for job in claim.jobs]))
    counts = before.run(queue.counts(ENV))
    assert {status: count for status, count in counts.items() if count} == {JobStatus.FINISHED: 6}
    assert before.drain("r1", DrainReason.OPERATOR, force=True) == 1


def test_fields_that_nobody_here_knows_stay(roster: Roster, raw: Any):
    roster.start("r1")
    keys = roster.keys
    known = (keys.environment(ENV), keys.host(HOST), keys.replica(ENV, "r1"))
    for key in known:
        raw.hset(key, "from the future", "1")
    roster.run(roster.fleet.announce(environment(0, 3), "v1"))
    roster.run(roster.fleet.host_sync(roster.host(max_replicas=5)))
    roster.run(roster.fleet.beat(ENV, "r1"))
    roster.drain("r1", DrainReason.OPERATOR)
    assert [raw.hget(key, "from the future") for key in known] == [b"1"] * 3


# -- newer records, as the next release may write them ------------------------------------------


def test_a_newer_environment_is_refused_where_it_is_read(roster: Roster, raw: Any):
    raw.hset(roster.keys.environment(ENV), "format", NEXT)
    with pytest.raises(
        NewerFormat, match=rf"environment classify is of a newer release .*data format {NEXT}; this"
    ):
        roster.seen()


def test_a_newer_environment_is_not_overwritten(roster: Roster, raw: Any):
    raw.hset(roster.keys.environment(ENV), "format", NEXT)
    before = raw.hgetall(roster.keys.environment(ENV))
    for version in ("", "v2"):
        with pytest.raises(NewerFormat, match="upgrade it here, where it is announced"):
            roster.run(roster.fleet.announce(environment(3, 9), version))
    assert raw.hgetall(roster.keys.environment(ENV)) == before


def test_an_older_application_hears_that_it_is_to_be_upgraded(settings: Settings, raw: Any):
    env = TaskEnvironment(ENV, reusable=ReusePolicy(replicas=(0, 2)))
    env.bind(settings)
    task = env.task(nothing)
    raw.hset(env.connection.keys.environment(ENV), "format", NEXT)
    with pytest.raises(NewerFormat, match="upgrade it here"):
        task.enqueue()
    assert raw.keys("rq:job:*") == []
    env.connection.close()


async def nothing() -> None:
    """Do nothing."""


async def test_an_older_scaler_holds_what_is_newer_and_scales_the_rest(
    aconnection: Connection, raw: Any
):
    roster = Roster(Connection(aconnection.settings), raw)
    for name in ("newer", "ours"):
        roster.run(roster.fleet.announce(replace(environment(1, 4), name=name), "v1"))
    roster.run(roster.fleet.host_sync(roster.host(offers={"newer": "v1", "ours": "v1"})))
    raw.hset(roster.keys.environment("newer"), "format", NEXT)
    with structlog.testing.capture_logs() as logs:
        looks = Looks(aconnection, TOKEN)
        await looks.look(["newer", "ours"])
        await looks.look(["newer", "ours"])
    assert raw.zcard(roster.keys.replicas("ours")) == 1
    assert raw.zcard(roster.keys.replicas("newer")) == 0
    [said] = [each for each in logs if each["event"] == "environment cannot be scaled"]
    assert (said["environment"], said["log_level"]) == ("newer", "warning")
    assert "upgrade it where this is read: the scaler" in said["error"]
    roster.connection.close()


def test_a_newer_host_gets_no_orders_of_an_older_scaler(roster: Roster, raw: Any):
    raw.hset(roster.keys.host(HOST), mapping={"format": NEXT, "offers": '{"classify": ["odd"]}'})
    [host] = roster.run(roster.fleet.hosts())
    assert (host.offers, host.format) == ({}, FORMAT + 1)


def test_an_older_agent_refuses_a_newer_order_and_says_so(roster: Roster, raw: Any):
    roster.order("r1")
    raw.hset(roster.keys.replica(ENV, "r1"), mapping={"format": NEXT, "state": "unheard of"})
    books = roster.run(roster.fleet.assigned(HOST, [ENV]))
    second = timedelta(seconds=1)
    here = Here(
        offers={ENV: "v1"}, start_timeout=second, stop_timeout=second, off_books_grace=second
    )
    why = (
        f"its order is of a newer release of reuse_queue (data format {NEXT}; this agent knows "
        f"{FORMAT}): upgrade it on this host"
    )
    assert list(reconcile(books, {}, here)) == [Deed(do=Do.END, replica="r1", why=why, asked=False)]
    with pytest.raises(NewerFormat, match="replica r1 is of a newer release"):
        roster.seen()


def test_commands_say_what_they_cannot_read_and_show_the_rest(roster: Roster, raw: Any):
    roster.run(roster.fleet.announce(replace(environment(), name="newer"), "v1"))
    raw.hset(roster.keys.environment("newer"), "format", NEXT)
    raw.hset(roster.keys.host(HOST), "format", NEXT)

    def run(*words: str, code: int) -> str:
        url = roster.connection.settings.redis_url
        done = CliRunner().invoke(commands, [*words, "--redis-url", url])
        assert done.exit_code == code, done.output
        return done.output

    listed = run("env", "list", code=0)
    assert "classify" in listed
    assert "Left out: environment newer: environment newer is of a newer release" in listed
    assert "environment newer is of a newer release" in run("explain", "newer", code=1)
    found = run("doctor", code=1)
    assert "environment newer is of a newer release" in found
    assert f"host {HOST}" in found
    assert "its agent is of a newer release" in found
