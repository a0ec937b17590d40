from datetime import timedelta
from typing import Any

import pytest

from reuse_queue.broker.doctor import ServerFacts, Standby, refusal
from reuse_queue.cli.findings import Level, findings, standby_findings
from reuse_queue.facts import Host, Snapshot
from support.made_up import NOW, death, host, record, replica, snapshot

HOST, SEEN = host(), snapshot()


def facts(**known: Any) -> ServerFacts:
    good: dict[str, Any] = {"at": NOW, "product": "Valkey", "version": "9.1.2", "leader": True}
    return ServerFacts(**(good | known))


def found(
    given: ServerFacts | None = None,
    hosts: tuple[Host, ...] = (HOST,),
    seen: tuple[Snapshot, ...] = (SEEN,),
) -> dict[str, tuple[Level, str]]:
    listed = findings(given or facts(), hosts, seen, NOW + timedelta(milliseconds=3))
    return {each.what: (each.level, each.text) for each in listed}


def test_a_healthy_fleet_has_no_problem():
    assert {level for level, _ in found().values()} == {Level.OK, Level.NOTE}


@pytest.mark.parametrize(
    ("version", "product", "supported"),
    [
        ("7.0.0", "Redis", True),
        ("8.2.1", "Redis", True),
        ("10.0.0", "Redis", True),
        ("6.2.14", "Redis", False),
        ("7.2.0", "Valkey", True),
        ("7.0.0", "Valkey", False),
        ("", "Redis", False),
    ],
)
def test_the_floor_is_redis_7_0_and_valkey_7_2(version: str, product: str, supported: bool):
    assert (refusal(facts(version=version, product=product)) == "") is supported


def test_a_server_that_evicts_is_refused_with_the_remedy():
    assert "CONFIG SET maxmemory-policy noeviction" in refusal(facts(eviction="allkeys-lru"))
    assert found(facts(eviction="allkeys-lru"))["server"][0] is Level.PROBLEM


@pytest.mark.parametrize(
    ("given", "what", "level", "says"),
    [
        (facts(append_only=False), "persistence", Level.RISK, "no snapshot was written"),
        (
            facts(append_only=False, saved_at=NOW - timedelta(minutes=5)),
            "persistence",
            Level.RISK,
            "written 5m ago",
        ),
        (facts(role="slave"), "role", Level.PROBLEM, "cannot be written to"),
        (facts(cluster=True), "cluster", Level.PROBLEM, "RQ_KEY_PREFIX={rq}"),
        (facts(cluster=True, prefix="{rq}"), "cluster", Level.OK, "{rq}"),
        (facts(leader=False), "scaler", Level.PROBLEM, "reuse-queue scaler"),
        (facts(max_memory=100, used_memory=95), "memory", Level.RISK, "95%"),
        (facts(), "clock", Level.NOTE, "3ms ahead of Redis's"),
        (
            facts(queues={"clasify": 4, "classify": 9, "old": 0}),
            "queue clasify",
            Level.PROBLEM,
            "Is 'classify' meant?",
        ),
    ],
)
def test_it_finds_what_is_wrong_with_a_server(given, what: str, level: Level, says: str):
    assert found(given)[what][0] is level
    assert says in found(given)[what][1]


def test_empty_queues_and_announced_ones_are_no_finding():
    given = facts(queues={"classify": 9, "old": 0})
    assert not [what for what in found(given) if what.startswith("queue")]


def test_it_finds_an_environment_that_no_host_can_run():
    assert found(hosts=())["hosts"][0] is Level.PROBLEM
    lonely = found(hosts=(host(offers={}),), seen=(snapshot(backlog=2),))
    assert lonely["environment classify"] == (
        Level.PROBLEM,
        "no live host offers it; 2 jobs queued",
    )
    broken = host(offers={}, broken={"app:env": "Traceback\nImportError: torch"})
    assert "ImportError: torch" in found(hosts=(broken,))["environment classify"][1]
    degraded = snapshot(record(degraded="it died five times"))
    assert found(seen=(degraded,))["environment classify"][0] is Level.PROBLEM


def test_it_finds_an_environment_whose_replicas_die_young():
    dies = snapshot(deaths=(death(2),))
    level, text = found(seen=(dies,))["environment classify"]
    assert level is Level.PROBLEM
    assert "1 replica died young" in text
    recovered = snapshot(deaths=(death(2),), replicas=(replica(),))
    assert found(seen=(recovered,))["environment classify"][0] is Level.OK


def fit(**known: Any) -> ServerFacts:
    return facts(role="slave", **known)


@pytest.mark.parametrize(
    ("standby", "level", "word"),
    [
        (Standby(name="b:1", facts=fit(), in_step=True), Level.OK, "follows the primary"),
        (Standby(name="b:1", facts=fit()), Level.RISK, "does not follow"),
        (Standby(name="b:1", trouble="refused"), Level.RISK, "cannot be asked"),
        (Standby(name="b:1", facts=fit(append_only=False), in_step=True), Level.RISK, "append"),
        (Standby(name="b:1", facts=fit(eviction="allkeys-lru"), in_step=True), Level.PROBLEM,
         "allkeys-lru"),
        (Standby(name="b:1", facts=fit(version="7.0.0"), in_step=True), Level.PROBLEM, "7.0.0"),
    ],
)  # fmt: skip
def test_a_standby_that_could_not_take_over_is_told_of(standby: Standby, level: Level, word: str):
    [finding] = standby_findings([standby])
    assert (finding.level, finding.what) == (level, "standby b:1")
    assert word in finding.text
