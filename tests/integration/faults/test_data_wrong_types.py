"""A key of ours that holds something else than it should.

Every step is run while any one key in turn is a text, or a list where that is no text; then while
any set is a sorted one, or the other way round. It may be refused; but when the key is as it was,
every job must still come to its end, and with one record.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from redis import ResponseError

from reuse_queue.broker.connection import Step
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.queue import JobQueue
from reuse_queue.broker.scaling import Scaling
from reuse_queue.errors import RedisRefused
from reuse_queue.facts import Action, ActionKind, Decision, DrainReason, EnvironmentState, Host
from reuse_queue.job import ClaimedJob, JobStatus, NewJob, Terms, Verdict
from support.fleets import environment
from support.site import ENV, Site, failed, finished

LEADER = "the test leads"
ENDED = {"finished", "failed", "canceled"}
# Only these say that somebody waits for the parent.
_PARENT = ("rq:job:good", "rq:job:good:dependents")


@dataclass
class World:
    """An environment with a job in every place where a job can be."""

    site: Site
    held: dict[str, ClaimedJob] = field(default_factory=dict)
    jobs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        site, keys, raw = self.site, self.site.keys, self.site.raw
        raw.flushall()
        raw.hset(keys.environment(ENV), mapping={"state": "active", "poke": "0"})
        raw.sadd(keys.environments(), ENV)
        self.fleet = Fleet(keys, site.connection.settings)
        self.queue = JobQueue(keys)
        self.scaling = Scaling(keys, site.connection.settings)
        host = Host(name="h1", agent="one", max_replicas=4, offers={ENV: "v1"})
        self.run(self.fleet.host_sync(host))
        self.run(self.scaling.lead(LEADER, timedelta(minutes=1)))
        site.replica("r1")
        site.replica("r2")
        for name in ("good", "bad", "slow", "doomed"):
            self.add(name, retries_left=1 if name == "bad" else 0)
            self.held[name] = site.running(name)
        raw.sadd(keys.cancels(ENV, "r1"), self.held["doomed"].execution)
        raw.sadd(keys.dependents("good"), "child")
        raw.sadd(keys.dependencies("child"), "good")
        self.add("child", status="deferred")
        raw.zadd(keys.registry("deferred", ENV), {"child": 1})
        self.add("due", status="scheduled")
        raw.zadd(keys.registry("scheduled", ENV), {"due": 1})
        self.add("gone", status="failed")
        raw.zadd(keys.registry("failed", ENV), {"gone": 9e9})
        self.add("moved")
        raw.rpush(keys.waiting(ENV, "r1"), "moved")
        self.add("urgent")
        raw.rpush(keys.urgent(ENV), "urgent")
        for name in ("first", "second"):
            self.add(name)
            raw.rpush(keys.queue(ENV), name)

    def add(self, name: str, **fields: str | int) -> None:
        given = {"data": "payload", "status": "queued", "origin": ENV}
        self.site.raw.hset(self.site.keys.job(name), mapping=given | fields)
        self.jobs.append(name)

    def run(self, step: Step[Any]) -> Any:
        return self.site.connection.run(step)

    def all_keys(self) -> list[str]:
        """Return the keys that a step may meet: those that are there, and some more."""
        keys = self.site.keys
        more = (
            *(keys.registry(kind, ENV) for kind in ("finished", "canceled", "ready")),
            *(keys.results(name) for name in ("good", "bad", "slow")),
            *(keys.deaths(ENV), keys.decisions(ENV), keys.ended(ENV), keys.waiting(ENV, "r2")),
            *(keys.worker_executions("r2"), keys.executions("first")),
        )
        there = {key.decode() for key in self.site.raw.keys("*")}
        return sorted(there.union(more))

    def recover(self) -> None:
        """Let everything take its course: replicas die, others come, and run what there is."""
        site = self.site
        for attempt in range(8):
            for name in site.raw.zrange(site.keys.replicas(ENV), 0, -1):
                site.raw.zadd(site.keys.replicas(ENV), {name: 1})
            for member in site.raw.zrange(site.keys.registry("wip", ENV), 0, -1):
                site.raw.zadd(site.keys.registry("wip", ENV), {member: 1})
            self.run(site.leases.reclaim())
            ready = site.keys.registry("ready", ENV)
            for member in site.raw.zrange(ready, 0, -1):
                site.raw.zadd(ready, {member: 1})
            self.run(self.queue.due(ENV))
            name = site.replica(f"heir{attempt}")
            jobs = site.claim(name, 100)
            site.finish(*map(finished, jobs), name=name)
            site.raw.zadd(site.keys.replicas(ENV), {name: 1})
            self.run(site.leases.reclaim())
            if not jobs and attempt:
                break

    def check(self, but: str) -> None:
        """Hold every job against its end; one that lost its own record counts for nothing."""
        for name in self.jobs:
            if but == self.site.keys.job(name) or (name == "child" and but in _PARENT):
                continue
            status = self.site.status(name)
            assert status in ENDED, (name, status)
            ends = [each for each in self.site.results(name) if each["type"] != "4"]
            ended_before = name == "gone" and status == "failed"
            assert len(ends) == (status != "canceled" and not ended_before), (name, status, ends)
        assert not [each for each in self.site.traces() if but.removeprefix("rq:job:") not in each]


def steps(world: World) -> dict[str, Callable[[], object]]:
    """Return what may happen to an environment, each as one call."""
    site, run, held = world.site, world.run, world.held
    dies = lambda: site.end("r1", {held["slow"].execution: None})  # noqa: E731
    overruns = lambda: site.end("r1", {held["bad"].execution: Verdict.FAILED})  # noqa: E731
    start = Action(kind=ActionKind.START, replica="r9", host="h1", version="v1")
    drain = Action(kind=ActionKind.DRAIN, replica="r2", host="h1", reason=DrainReason.SCALE_DOWN)
    decided = Decision(environment=ENV, state=EnvironmentState.ACTIVE, actions=(start, drain))
    new = NewJob("new", b"payload", Terms(description="d"))
    return {
        "claim": lambda: site.claim("r2", 2),
        "claim all": lambda: site.claim("r1", 10),
        "finish": lambda: site.finish(finished(held["good"])),
        "fail": lambda: site.finish(failed(held["bad"]), finished(held["slow"])),
        "fail for good": lambda: site.finish(failed(held["slow"])),
        "cancel while it ends": lambda: site.finish(failed(held["doomed"])),
        "release": lambda: run(site.leases.release("r1", known=[])),
        "beat": lambda: run(world.fleet.beat(ENV, "r1")),
        "die": dies,
        "overrun": overruns,
        "reclaim": lambda: reclaim(world),
        "due": lambda: run(world.queue.due(ENV)),
        "sweep": lambda: run(world.queue.sweep(ENV)),
        "cancel": lambda: run(world.queue.cancel(["first", "urgent", "slow", "due"])),
        "requeue": lambda: run(world.queue.requeue(["gone"])),
        "enqueue": lambda: run(world.queue.enqueue(ENV, [new])),
        "apply": lambda: run(world.scaling.apply(LEADER, decided)),
    }


def reclaim(world: World) -> None:
    with suppress(ResponseError):
        world.site.raw.zadd(world.site.keys.replicas(ENV), {"r1": 1})
    world.run(world.site.leases.reclaim())


@contextmanager
def foreign(site: Site, key: str, *, akin: bool = False) -> Iterator[None]:
    """Let a key hold something else for a while; `akin`: something that some commands take too."""
    raw, aside = site.raw, f"aside:{key}"
    was = raw.type(key)
    if was != b"none":
        raw.rename(key, aside)
    if akin and kind_of(site, key) == b"zset":
        raw.sadd(key, "foreign")
    elif akin:
        raw.zadd(key, {"foreign": 1})
    elif was == b"string":
        raw.rpush(key, "foreign")
    else:
        raw.set(key, "foreign")
    is_now = raw.type(key)
    yield
    # A step may have replaced it by what it should be, or taken it away.
    if raw.type(key) == is_now:
        raw.delete(key)
    if was != b"none" and not raw.exists(key):
        raw.rename(aside, key)
    raw.delete(aside)


def kind_of(site: Site, key: str) -> bytes:
    """Return of what kind a key is, or would be if it were there."""
    is_now: bytes = site.raw.type(key)
    return b"zset" if is_now == b"none" and key.startswith(_SORTED) else is_now


_SORTED = ("rq:finished", "rq:canceled", "rq:ready", "reuse:{app}:ended", "rq:executions")
NAMES = [
    *("claim", "claim all", "finish", "fail", "fail for good", "cancel while it ends", "release"),
    *("beat", "die", "overrun", "reclaim", "due", "sweep", "cancel", "requeue", "enqueue", "apply"),
]


@pytest.mark.parametrize("akin", [False, True], ids=["foreign", "akin"])
@pytest.mark.parametrize("name", NAMES)
def test_no_job_is_lost_whatever_key_is_of_another_type(site: Site, name: str, akin: bool):
    wrong, seen = [], itertools.count()
    for key in World(site).all_keys():
        if akin and kind_of(site, key) not in {b"set", b"zset"}:
            continue
        world = World(site)
        with foreign(site, key, akin=akin):
            try:
                steps(world)[name]()
            except RedisRefused as error:
                if "WRONGTYPE" not in str(error):
                    wrong.append(f"{key}: {error}")
        next(seen)
        try:
            world.recover()
            world.check(but=key)
        except (AssertionError, RedisRefused) as error:
            wrong.append(f"{key}: {error}".splitlines()[0])
    assert not wrong, "\n".join(["", *wrong])
    assert next(seen) > (12 if akin else 30)


def test_what_only_looks_says_which_key_is_wrong_or_does_without_it(site: Site):
    world = World(site)
    looks: dict[str, Callable[[], Step[Any]]] = {
        "snapshot": lambda: world.scaling.snapshot(ENV, poke=True),
        "announce": lambda: world.fleet.announce(environment(0, 4, name=ENV), "v1"),
        "renew": lambda: site.leases.renew(["r1", "r2"]),
        "counts": lambda: world.queue.counts(ENV),
        "hosts": world.fleet.hosts,
        "assigned": lambda: world.fleet.assigned("h1", [ENV]),
        "list": lambda: world.queue.ids(ENV, JobStatus.QUEUED, 0, 10),
    }
    refused = set()
    for key in world.all_keys():
        with foreign(site, key):
            for name, look in looks.items():
                try:
                    world.run(look())
                except RedisRefused:
                    refused.add((name, key))
    keys = site.keys
    env, queue, urgent = keys.environment(ENV), keys.queue(ENV), keys.urgent(ENV)
    replicas, scheduled = keys.replicas(ENV), keys.registry("scheduled", ENV)
    registries = ("wip", "finished", "failed", "deferred", "scheduled", "canceled", "ready")
    assert refused == {
        *(
            ("snapshot", key)
            for key in (env, queue, urgent, replicas, scheduled, keys.versions(ENV))
        ),
        *(("announce", key) for key in (env, keys.environments())),
        ("renew", replicas),
        *(("counts", key) for key in (queue, urgent)),
        *(("counts", keys.registry(kind, ENV)) for kind in registries),
        *((name, keys.hosts()) for name in ("hosts", "snapshot")),
        *(("assigned", key) for key in (keys.assigned(ENV, "h1"), replicas)),
        *(("list", key) for key in (queue, urgent)),
    }
