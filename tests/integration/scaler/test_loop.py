"""The daemon on a real Redis: who leads, what wakes it, and what must not stop it."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import redis
from rq import Queue

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from reuse_queue.facts import EnvironmentState, ReplicaState
from reuse_queue.job import NewJob, Terms
from reuse_queue.scaler.loop import Scaler
from reuse_queue.settings import Settings
from support.eventually import eventually, eventually_sync
from support.fleets import environment
from support.roster import ENV, HOST, TOKEN, Roster
from support.server import RedisServer, programs

SOON, NEVER = timedelta(milliseconds=50), timedelta(hours=1)


@pytest.fixture
def roster(connection: Connection, raw: redis.Redis) -> Roster:
    made = Roster(connection, raw)
    made.run(made.scaling.resign(TOKEN))
    return made


@contextlib.asynccontextmanager
async def scaling(settings: Settings, tick: timedelta = SOON) -> AsyncIterator[asyncio.Task[None]]:
    """Run a scaler; `tick` NEVER: after its first look it acts only when it is woken."""
    connection = Connection(replace(settings, tick=tick))
    task = asyncio.create_task(Scaler(connection).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
        await connection.aclose()


def enqueue(roster: Roster, *ids: str, **fields: Any) -> None:
    jobs = [
        NewJob(id=each, data=b'["app.a"]', terms=Terms(description="", timeout=None))
        for each in ids
    ]
    roster.run(JobQueue(roster.keys).enqueue(ENV, jobs, **fields))


def ordered(roster: Roster) -> Callable[[], int]:
    return lambda: sum(each.state is ReplicaState.ORDERED for each in roster.seen().replicas)


def looked(roster: Roster) -> Callable[[], bool]:
    return lambda: bool(roster.run(roster.scaling.decisions(ENV, 1)))


# -- what wakes it --------------------------------------------------------------------------


async def test_an_enqueue_to_a_dormant_environment_is_answered_without_waiting_for_a_tick(
    roster: Roster, settings: Settings
):
    roster.raw.hset(roster.keys.environment(ENV), "state", "dormant")
    async with scaling(settings, NEVER):
        await eventually(looked(roster))
        enqueue(roster, "a", "b", "c")
        await eventually(lambda: ordered(roster)() == 2)
    newest = roster.run(roster.scaling.decisions(ENV, 1))[0]
    assert (
        newest.reason
        == "3 jobs want 2 replicas (2 per replica), none is there: start 2 on testhost"
    )


async def test_a_burst_of_enqueues_wakes_it_again_and_again(roster: Roster, settings: Settings):
    def reached(count: int) -> bool:
        return ordered(roster)() == count

    async with scaling(settings, NEVER):
        await eventually(looked(roster))
        for count in (1, 2, 3, 4):
            enqueue(roster, f"a{count}", f"b{count}")
            await eventually(partial(reached, count))


async def test_an_operators_word_and_a_hosts_news_wake_it(roster: Roster, settings: Settings):
    roster.run(roster.fleet.host_gone(HOST, "one"))
    async with scaling(settings, NEVER):
        await eventually(looked(roster))
        roster.run(roster.scaling.override(ENV, (2, 2)))
        await eventually(
            lambda: "no live host" in roster.run(roster.scaling.decisions(ENV, 1))[0].unschedulable
        )
        roster.run(roster.fleet.host_sync(roster.host()))
        await eventually(lambda: ordered(roster)() == 2)


async def test_a_new_environment_gets_its_minimum_without_waiting_for_a_tick(
    roster: Roster, settings: Settings
):
    roster.run(roster.fleet.host_sync(roster.host(offers={ENV: "v1", "new": "v1"})))
    async with scaling(settings, NEVER):
        await eventually(looked(roster))
        roster.run(roster.fleet.announce(environment(2, 4, name="new"), "v1"))
        await eventually(lambda: roster.raw.scard(roster.keys.assigned("new", HOST)) == 2)


async def test_a_stock_enqueue_to_a_dormant_environment_is_found_at_the_next_tick(
    roster: Roster, settings: Settings
):
    roster.raw.hset(roster.keys.environment(ENV), "state", "dormant")
    async with scaling(settings):
        await eventually(looked(roster))
        Queue(ENV, connection=roster.raw, serializer="json").enqueue("app.a")
        await eventually(lambda: ordered(roster)() == 1)
    assert roster.seen().environment.state is EnvironmentState.ACTIVE


# -- what it tidies -------------------------------------------------------------------------


async def test_it_ends_replicas_whose_lease_ran_out_and_lets_in_what_is_due(
    roster: Roster, settings: Settings
):
    roster.run(roster.scaling.lead(TOKEN, timedelta(minutes=1)))
    roster.start()
    roster.run(roster.scaling.resign(TOKEN))
    roster.raw.zadd(roster.keys.replicas(ENV), {"r1": 1})
    roster.raw.zadd(roster.keys.registry("scheduled", ENV), {"due": 1})
    roster.raw.hset(roster.keys.job("due"), mapping={"status": "scheduled", "origin": ENV})
    async with scaling(settings):
        await eventually(lambda: roster.replica("r1") is None)
        await eventually(lambda: roster.raw.lrange(roster.keys.queue(ENV), 0, -1) == [b"due"])


# -- who leads ------------------------------------------------------------------------------


async def test_of_two_scalers_one_leads_and_the_other_takes_over_when_it_stops(
    roster: Roster, settings: Settings
):
    def leader() -> object:
        return roster.raw.get(roster.keys.leader())

    async with scaling(settings, NEVER) as first:
        await eventually(leader)
        chosen = leader()
        async with scaling(settings, NEVER):
            await eventually(looked(roster))
            assert leader() == chosen
            first.cancel()
            await eventually(lambda: leader() not in (None, chosen), within=3.0)
            enqueue(roster, "a")
            await eventually(lambda: ordered(roster)() == 1)
    assert int(roster.raw.get(roster.keys.fence()) or 0) == 3  # the test led first
    assert leader() is None


async def test_a_scaler_that_has_lost_the_lead_acts_no_more_until_it_leads_again(
    roster: Roster, settings: Settings
):
    async with scaling(settings):
        await eventually(looked(roster))
        roster.raw.set(roster.keys.leader(), "another")
        decided = roster.run(roster.scaling.decisions(ENV, 99))
        enqueue(roster, "a")
        await eventually(lambda: roster.raw.hget(roster.keys.environment(ENV), "poke") == b"0")
        assert roster.run(roster.scaling.decisions(ENV, 99)) == decided
        roster.raw.delete(roster.keys.leader())
        await eventually(lambda: ordered(roster)() == 1)


# -- what must not stop it ------------------------------------------------------------------


@pytest.mark.parametrize("part", ["environment", "replicas", "deaths"])
async def test_garbage_at_one_environments_keys_does_not_stop_the_others(
    roster: Roster, settings: Settings, part: str
):
    roster.run(roster.fleet.announce(environment(name="bad"), "v1"))
    key = getattr(roster.keys, part)("bad")
    roster.raw.delete(key)
    roster.raw.set(key, "garbage")
    async with scaling(settings):
        enqueue(roster, "a")
        await eventually(lambda: ordered(roster)() == 1)
        # It is looked at again, and scaled as soon as it can be.
        roster.raw.delete(key)
        roster.run(roster.fleet.announce(environment(name="bad"), "v1"))
        await eventually(lambda: bool(roster.run(roster.scaling.decisions("bad", 1))))


async def test_what_no_host_can_load_is_degraded_until_one_can(roster: Roster, settings: Settings):
    broken = roster.host(offers={}, broken={ENV: "Traceback …\nImportError: no app"})
    roster.run(roster.fleet.host_sync(broken))
    enqueue(roster, "a")
    async with scaling(settings):
        await eventually(lambda: "ImportError" in roster.seen().environment.degraded)
        assert roster.seen().replicas == ()
        roster.run(roster.fleet.host_sync(roster.host()))
        await eventually(lambda: ordered(roster)() == 1)
        await eventually(lambda: roster.seen().environment.degraded == "")


async def test_it_waits_for_a_redis_that_is_away_and_goes_on():
    server = RedisServer(next(iter(programs().values())), append_only=True)
    try:
        settings = Settings(redis_url=server.url, host=HOST)
        with server.client() as raw, contextlib.closing(Connection(settings)) as connection:
            roster = Roster(connection, raw)
            roster.run(roster.scaling.resign(TOKEN))
            async with scaling(settings) as task:
                await eventually(looked(roster))
                server.kill()
                with contextlib.suppress(redis.RedisError):
                    raw.ping()
                server.restart()
                enqueue(roster, "a")
                await eventually(lambda: ordered(roster)() == 1)
                assert not task.done()
    finally:
        server.close()


def test_the_command_ends_on_sigterm_and_gives_up_the_lead(roster: Roster, settings: Settings):
    command = [sys.executable, "-m", "reuse_queue", "scaler", "--redis-url", settings.redis_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            eventually_sync(lambda: roster.raw.get(roster.keys.leader()), within=20.0)
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 0, output.decode()
    assert b"Traceback" not in output
    assert roster.raw.get(roster.keys.leader()) is None
