"""The commands on a real Redis: what they print, what they change, and how they end."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner, Result

from reuse_queue.__main__ import main
from reuse_queue.broker.connection import Connection
from reuse_queue.broker.fleet import Fleet
from reuse_queue.broker.queue import JobQueue
from reuse_queue.broker.scaling import Scaling
from reuse_queue.cli import commands
from reuse_queue.facts import Action, ActionKind, Decision, EnvironmentState
from reuse_queue.job import JobStatus, NewJob, Terms
from reuse_queue.serializer import serializer
from reuse_queue.settings import Settings
from support.made_up import host, record

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.delenv("REDIS_URL", raising=False)

    def call(*words: str, stdin: str | None = None) -> Result:
        environ = {"REUSE_QUEUE_REDIS_URL": settings.redis_url}
        return CliRunner().invoke(commands, [*words], input=stdin, env=environ)

    return call


@pytest.fixture
def fleet(connection: Connection, settings: Settings) -> Fleet:
    """A fleet of one host that offers `classify`, and `mail` that no host offers."""
    made = Fleet(connection.keys, settings)
    connection.run(made.announce(record(), "v1"))
    connection.run(made.announce(record("mail", target="mails:env")))
    connection.run(made.host_sync(host()))
    return made


@pytest.fixture
def replica(connection: Connection, settings: Settings, fleet: Fleet) -> str:
    """A ready replica of `classify`."""
    scaling = Scaling(connection.keys, settings)
    connection.run(scaling.lead("me", settings.lease))
    name = "classify-h-000001"
    order = Action(kind=ActionKind.START, replica=name, host="h", version="v1")
    decision = Decision(
        environment="classify",
        state=EnvironmentState.ACTIVE,
        want=1,
        demand=3,
        actions=(order,),
        reason="3 jobs want a slot",
    )
    assert connection.run(scaling.apply("me", decision)) == 1
    assert connection.run(fleet.register("classify", name, 4711, {}))
    assert connection.run(fleet.ready("classify", name))
    return name


@pytest.fixture
def enqueue(connection: Connection, fleet: Fleet) -> Callable[..., None]:
    def call(*ids: str) -> None:
        data = serializer("json").pack("app.classify", ("a.png",), {})
        jobs = [
            NewJob(id=each, data=data, terms=Terms(description="app.classify('a.png')"))
            for each in ids
        ]
        connection.run(JobQueue(connection.keys).enqueue("classify", jobs))

    return call


def told(result: Result, code: int = 0) -> str:
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def shape(result: Result) -> Any:
    return json.loads(told(result))


# -- environments -------------------------------------------------------------------------------


def test_env_list_has_a_line_for_each_environment(invoke: Invoke, replica: str, enqueue):
    enqueue("j1", "j2")
    heading, first, second = told(invoke("env", "list")).splitlines()
    assert heading.split() == [
        *("ENVIRONMENT", "STATE", "READY", "BOUNDS", "QUEUED", "RUNNING", "DONE", "FAILED")
    ]
    assert first.split() == ["classify", "active", "1", "0-3", "2", "0", "0", "0"]
    assert second.split()[:2] == ["mail", "active"]
    assert [each["backlog"] for each in shape(invoke("env", "list", "--json"))] == [2, 0]


def test_env_show_has_policy_hosts_jobs_tasks_and_replicas(invoke: Invoke, replica: str, enqueue):
    enqueue("j1")
    text = told(invoke("env", "show", "classify"))
    for part in (
        "0-3 replicas, concurrency 8, idle_ttl 2m, scaledown_ttl 30s",
        "h (version v1)",
        "1 queued",
        "app.classify",
        replica,
    ):
        assert part in text
    assert shape(invoke("env", "show", "classify", "--json"))["jobs"]["queued"] == 1
    assert "none that is alive offers it" in told(invoke("env", "show", "mail"))


def test_env_show_has_the_traceback_of_what_a_host_cannot_load(
    invoke: Invoke, connection: Connection, fleet: Fleet
):
    why = "Traceback (most recent call last):\n  …\nModuleNotFoundError: No module named 'torch'"
    connection.run(fleet.host_sync(host(offers={}, broken={"app:env": why})))
    text = told(invoke("env", "show", "classify"))
    assert "ModuleNotFoundError: No module named 'torch'" in text
    assert "degraded" in told(invoke("doctor"), 1) + invoke("doctor").stdout


def test_pause_drain_and_resume_set_what_an_operator_set(invoke: Invoke, fleet: Fleet):
    def state() -> tuple[bool, bool]:
        seen = shape(invoke("env", "show", "classify", "--json"))
        return seen["paused"], seen["drained"]

    told(invoke("env", "pause", "classify"))
    assert state() == (True, False)
    told(invoke("env", "drain", "classify"))
    assert state() == (True, True)
    assert "works again" in told(invoke("env", "resume", "classify"))
    assert state() == (False, False)
    assert "was not held back" in told(invoke("env", "resume", "classify"))


def test_scale_sets_bounds_and_gives_the_policys_back(invoke: Invoke, fleet: Fleet):
    def bounds() -> tuple[int, int]:
        seen = shape(invoke("env", "show", "classify", "--json"))
        return seen["bounds"]["min"], seen["bounds"]["max"]

    told(invoke("env", "scale", "classify", "--min", "2", "--max", "9"))
    assert bounds() == (2, 9)
    told(invoke("env", "scale", "classify", "--max", "5"))
    assert bounds() == (2, 5)
    assert "at most --max" in told(invoke("env", "scale", "classify", "--max", "1"), 2)
    told(invoke("env", "scale", "classify"), 2)
    told(invoke("env", "scale", "classify", "--reset", "--min", "1"), 2)
    told(invoke("env", "scale", "classify", "--reset"))
    assert bounds() == (0, 3)


# -- replicas -----------------------------------------------------------------------------------


def test_replicas_are_listed_and_drained(invoke: Invoke, replica: str):
    (listed,) = shape(invoke("replicas", "list", "--json"))
    assert (listed["name"], listed["state"], listed["pid"]) == (replica, "ready", 4711)
    assert replica in told(invoke("replicas", "list", "--env", "classify"))
    assert "drains" in told(invoke("replicas", "drain", replica))
    (listed,) = shape(invoke("replicas", "list", "--json"))
    assert (listed["state"], listed["drain_reason"]) == ("draining", "operator")


# -- jobs ---------------------------------------------------------------------------------------


def test_jobs_are_listed_by_status_and_shown(invoke: Invoke, enqueue):
    enqueue("j1", "j2", "j3")
    told(invoke("jobs", "cancel", "j3"))
    assert {each["id"] for each in shape(invoke("jobs", "list", "classify", "--json"))} == {
        *("j1", "j2", "j3")
    }
    assert len(shape(invoke("jobs", "list", "classify", "--json", "--limit", "2"))) == 2
    (canceled,) = shape(invoke("jobs", "list", "classify", "--status", "canceled", "--json"))
    assert (canceled["id"], canceled["task"]) == ("j3", "app.classify")
    text = told(invoke("jobs", "show", "j1"))
    assert "queued" in text
    assert "app.classify" in text


def test_cancel_says_what_became_of_each_job(invoke: Invoke, enqueue):
    enqueue("j1", "j2")
    assert told(invoke("jobs", "cancel", "j1", "j2")).splitlines() == [
        "j1 is canceled (it was queued)",
        "j2 is canceled (it was queued)",
    ]
    assert told(invoke("jobs", "cancel", "j1")) == "j1 was canceled before\n"


def test_retry_puts_jobs_back_and_says_which_are_left(invoke: Invoke, enqueue):
    enqueue("j1", "j2")
    told(invoke("jobs", "cancel", "j1"))
    result = invoke("jobs", "retry", "j1", "j2")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "j1 is queued again",
        "j2 is left as it is: queued",
    ]
    assert "1 job had not failed" in result.stderr
    told(invoke("jobs", "retry"), 2)
    told(invoke("jobs", "retry", "j1", "--all-failed", "classify"), 2)


def test_retry_of_all_failed_jobs_asks_first(
    invoke: Invoke,
    enqueue,
    raw: redis.Redis,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sys.modules["reuse_queue.cli.jobs"], "_BATCH", 1)
    enqueue("j1", "j2", "j3")
    raw.delete("rq:queue:classify")
    for each in ("j1", "j2"):
        raw.hset(f"rq:job:{each}", "status", "failed")
        raw.zadd("rq:failed:classify", {each: 2e9})
    words = ("jobs", "retry", "--all-failed", "classify")
    asked = invoke(*words, stdin="n\n")
    assert asked.exit_code == 1
    assert "Put 2 failed jobs of classify back?" in asked.stdout
    assert raw.llen("rq:queue:classify") == 0
    assert "2 jobs of classify queued again" in told(invoke(*words, "--yes"))
    counts = connection.run(JobQueue(connection.keys).counts("classify"))
    assert (counts[JobStatus.QUEUED], counts[JobStatus.FAILED]) == (2, 0)


# -- explain and doctor -------------------------------------------------------------------------


def test_explain_says_why_and_what_is_waited_for(invoke: Invoke, replica: str, enqueue):
    seen = shape(invoke("explain", "classify", "--json"))
    assert seen["decisions"][0]["reason"] == "3 jobs want a slot"
    assert any("to be drained" in each for each in seen["waits_for"])
    text = told(invoke("explain", "classify"))
    assert "3 jobs want a slot" in text
    assert "+1" in text


def test_doctor_finds_what_is_wrong_and_ends_with_1(invoke: Invoke, raw: redis.Redis, fleet: Fleet):
    raw.sadd("rq:queues", "rq:queue:clasify")
    raw.rpush("rq:queue:clasify", "j1")
    result = invoke("doctor", "no_such_module:env", "json:env")
    assert result.exit_code == 1
    for part in (
        "none runs: nothing starts",
        "Is 'classify' meant?",
        "No module named 'no_such_module'",
        "there is no TaskEnvironment in json called 'env'",
    ):
        assert part in result.stdout
    assert json.loads(invoke("doctor", "--json").stdout)["problems"] >= 2


def test_doctor_accepts_only_targets_that_an_agent_accepts(invoke: Invoke):
    told_of = invoke("doctor", "support.sample", "support.sample:env").stdout
    assert "a target is module:attribute: support.sample:" in told_of
    assert "environment sample, tasks:" in told_of


def test_doctor_of_a_healthy_fleet_ends_with_0(invoke: Invoke, replica: str, raw: redis.Redis):
    raw.delete("reuse:{mail}:environment")
    raw.srem("reuse:environments", "mail")
    assert "No problem found." in told(invoke("doctor"))


# -- wrong names, no Redis, no folder -----------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("env", "show", "clasify"), "Did you mean 'classify'?"),
        (("env", "pause", "class"), "Did you mean 'classify'?"),
        (("explain", "mial"), "Did you mean 'mail'?"),
        (("jobs", "list", "clasify"), "Did you mean 'classify'?"),
        (("replicas", "list", "--env", "clasify"), "Did you mean 'classify'?"),
        (("replicas", "drain", "classify-h"), "Did you mean 'classify-h-000001'?"),
        (("jobs", "show", "abc"), "Did you mean 'abcdef'?"),
        (("jobs", "cancel", "abc"), "Did you mean 'abcdef'?"),
        (("jobs", "retry", "abc"), "Did you mean 'abcdef'?"),
        (("jobs", "show", "xyz"), "its record has expired"),
    ],
)
def test_a_name_that_is_not_there_ends_with_4_and_a_suggestion(
    invoke: Invoke, replica: str, enqueue, words: tuple[str, ...], says: str
):
    enqueue("abcdef")
    assert says in told(invoke(*words), 4)


def test_a_wrong_subcommand_or_option_is_suggested(invoke: Invoke):
    assert "Did you mean 'list'?" in told(invoke("env", "lst"), 2)
    assert "Did you mean" in told(invoke("explane"), 2)


def test_a_folder_that_cannot_be_made_ends_with_1_and_its_name(tmp_path: Path):
    (tmp_path / "file").touch()
    folder = str(tmp_path / "file" / "data")
    result = CliRunner().invoke(commands, ["run", "app:env", "--data", folder])
    assert (result.exit_code, result.stderr) == (1, f"Error: Not a directory: {folder}\n")


def test_ctrl_c_while_it_loads_shows_no_traceback(monkeypatch: pytest.MonkeyPatch):
    class Interrupts:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "reuse_queue.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "reuse_queue.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupts(), *sys.meta_path])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 130


def test_no_redis_ends_with_3_and_one_line():
    for words in (("env", "list"), ("doctor",), ("scaler",), ("agent", "app:env")):
        url = "redis://:secret@localhost:1"
        result = CliRunner().invoke(commands, [*words, "--redis-url", url])
        assert result.exit_code == 3
        assert result.stderr.startswith(
            "Error: Redis at redis://:***@localhost:1 cannot be reached"
        )
        assert "secret" not in result.output
        assert len(result.stderr.splitlines()) == 1


def test_parts_do_not_start_on_a_redis_that_evicts_jobs(invoke: Invoke, raw: redis.Redis):
    raw.config_set("maxmemory-policy", "allkeys-lru")
    try:
        for words in (("scaler",), ("agent", "app:env"), ("run", "app:env")):
            assert "maxmemory-policy is allkeys-lru" in told(invoke(*words), 3)
    finally:
        raw.config_set("maxmemory-policy", "noeviction")
