"""Connections that are deaf: they stand, on both ends, and nothing comes through any more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import redis
from rq import Callback
from rq.job import Job, JobStatus

from chaos.network import Network
from integration.worker.conftest import Lab
from reuse_agent.link import Link
from reuse_queue.broker import clients
from reuse_queue.broker import connection as broker
from reuse_queue.broker.connection import Connection
from reuse_queue.errors import RedisUnavailable
from reuse_queue.scaler import lead
from reuse_queue.settings import Settings
from support.eventually import eventually
from support.server import RedisServer

networks: list[Network] = []
told: list[tuple[str, str]] = []


@pytest.fixture(autouse=True)
def network(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """Where nobody waits for a reply as long as that may take, or the test would not end."""
    for each in (broker, clients):
        monkeypatch.setattr(each, "REPLY_TIMEOUT_S", 3600.0)
    made = Network(str(redis_server.socket))
    networks[:] = [made]
    yield made
    made.close()


@pytest.fixture
def short(settings: Settings, network: Network) -> Settings:
    return replace(
        settings,
        redis_url=network.url,
        lease=timedelta(seconds=3),
        heartbeat=timedelta(seconds=0.15),
    )


@pytest.fixture
async def through(short: Settings) -> AsyncIterator[Connection]:
    made = Connection(short)
    yield made
    await made.aclose()


async def deafens() -> str:
    networks[0].forget()
    return "done"


async def echo(number: int) -> int:
    return number


async def test_a_replica_records_what_ended_then_and_hears_of_new_jobs(
    raw: redis.Redis, short: Settings
):
    lab = Lab(raw, short)
    lab.serve(deafens, echo, concurrency=4)
    async with lab.replica() as running:
        job = lab.enqueue(deafens)
        await eventually(lambda: job.get_status() is JobStatus.FINISHED)
        networks[0].forget()
        jobs = [lab.enqueue(echo, number) for number in range(3)]
        await eventually(lambda: all(each.get_status() is JobStatus.FINISHED for each in jobs))
        assert not running.done


async def ended(job: Job, status: JobStatus) -> None:
    await eventually(lambda: job.get_status() is status)


async def fails_deaf() -> None:
    networks[0].forget()
    raise ValueError("no good")


def mourn(job: Job, _: object, kind: type, *__: object) -> None:
    told.append((job.id, kind.__name__))


async def test_a_failure_is_told_and_recorded_though_every_connection_was_deaf_then(
    raw: redis.Redis, short: Settings
):
    lab = Lab(raw, short)
    lab.serve(fails_deaf, echo, concurrency=4)
    lab.env.callback(mourn)
    told.clear()
    async with lab.replica() as running:
        # The first one opens what the second one finds deaf.
        for _ in range(2):
            job = lab.enqueue(fails_deaf, on_failure=Callback(mourn))
            await ended(job, JobStatus.FAILED)
            assert told[-1] == (job.id, "ValueError")
        assert not running.done


async def test_an_agent_asks_again(through: Connection):
    link = Link(through)
    assert await link.ask(link.fleet.hosts) == []
    networks[0].forget()
    assert await link.ask(link.fleet.hosts) == []


async def test_what_a_leading_scaler_has_asked_is_cut_off_once_it_has_renewed_its_lead(
    through: Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lead, "TTL", timedelta(seconds=0.5))
    monkeypatch.setattr(lead, "_RENEW_S", 0.1)
    leads = lead.Lead(through)
    keeps = asyncio.create_task(leads.keep())
    await leads.wait()
    await through.arun(leads._scaling.resign("nobody"))
    networks[0].forget()
    with pytest.raises(RedisUnavailable):
        await through.arun(leads._scaling.resign("nobody"))
    await leads.wait()
    keeps.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeps
