import asyncio
import functools
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reuse_queue import (
    InvalidSettings,
    ReusePolicy,
    Settings,
    TaskEnvironment,
    UnknownEnvironment,
    UnknownTask,
)
from reuse_queue.broker.connection import Connection
from support import sample
from support.sample import add, classify

CONCURRENT = ReusePolicy(replicas=(0, 3), concurrency=4)


async def coroutine(value: int) -> int:
    return value


def plain(value: int) -> int:
    return value


def numbers() -> Iterator[int]:
    yield 1


class Service:
    def method(self) -> None: ...


@dataclass
class Caller:
    def __call__(self) -> None: ...


def nested() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


# -- names and choices --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a1", "1a", "a-b_c", "file-types"])
def test_names_in_snake_or_kebab_case_will_do(name: str):
    assert TaskEnvironment(name).name == name


@pytest.mark.parametrize("name", ["A", "a.b", "a--b", "a_", "", "a b", "a\n", "{a}", None, 3])
def test_other_names_are_refused_as_flyte_does(name: Any):
    with pytest.raises(ValueError, match=r"(?s)^Environment name '.*' must be in snake_case"):
        TaskEnvironment(name)


def test_a_policy_of_another_type_is_refused_as_flyte_does():
    with pytest.raises(TypeError, match=r"Expected reusable to be of type ReusePolicy, got <class"):
        TaskEnvironment("a", reusable=(1, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "says"),
    [({"serializer": "xml"}, "json, pickle"), ({"start_method": "x"}, "'fork' or 'spawn'")],
)
def test_a_choice_that_is_none_names_those_that_are(choice: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        TaskEnvironment("a", **choice)


def test_what_is_not_said_has_flytes_defaults():
    assert TaskEnvironment("a").policy == ReusePolicy(replicas=2)


# -- tasks --------------------------------------------------------------------------------------


def test_a_task_is_known_by_where_it_can_be_imported():
    env = TaskEnvironment("a")
    task = env.task(coroutine)
    assert task.name == f"{__name__}.coroutine"
    assert env.lookup(task.name) is task
    assert dict(env.tasks) == {task.name: task}
    assert env.module == __name__


def test_options_are_given_to_the_decorator():
    env = TaskEnvironment("a")
    assert env.task(retries=2, timeout=30)(coroutine).options.retries == 2
    assert env.task()(plain).options.retries == 0
    with pytest.raises(TypeError, match="did you mean timeout"):
        env.task(timout=3)  # type: ignore[call-overload]


def test_a_second_task_of_the_same_name_is_refused():
    env = TaskEnvironment("a")
    env.task(plain)
    with pytest.raises(ValueError, match=r"has a task .*\.plain already"):
        env.task(plain)


@pytest.mark.parametrize(
    ("function", "error", "says"),
    [
        (Service, TypeError, "must be a function .*, got the class Service"),
        (len, TypeError, "got a builtin_function_or_method"),
        (Caller(), TypeError, "got a Caller"),
        (functools.partial(plain, 1), TypeError, "got a partial"),
        (Service().method, TypeError, "got a method"),
        (numbers, TypeError, "numbers yields: a task returns one value"),
        (Service.method, ValueError, "Service.method is a method of a class"),
        (nested(), ValueError, "inner is nested in another function"),
        (lambda: 1, ValueError, "is a lambda"),
    ],
)
def test_what_a_replica_could_not_import_or_answer_is_refused_with_the_reason(
    function: Any, error: type[Exception], says: str
):
    with pytest.raises(error, match=says):
        TaskEnvironment("a").task(function)


def test_a_sync_task_that_would_share_its_replica_is_refused_as_flyte_does():
    env = TaskEnvironment("a", reusable=CONCURRENT)
    env.task(coroutine)
    for decorator in (env.task, env.task(retries=1)):
        with pytest.raises(ValueError, match="concurrency greater than 1 are only supported for a"):
            decorator(plain)


def test_no_override_lets_a_sync_task_share_its_replica():
    with pytest.raises(ValueError, match="reusable cannot be set for a task"):
        TaskEnvironment("a").task(plain).override(reusable=CONCURRENT)  # type: ignore[call-arg]


def test_a_task_that_is_not_there_brings_up_those_that_are_like_it():
    with pytest.raises(UnknownTask, match=r"has no task 'app\.classify'; did you mean support"):
        sample.env.lookup("app.classify")
    with pytest.raises(UnknownTask, match=r"no task 'os\.system'"):
        sample.env.lookup("os.system")


# -- clones ---------------------------------------------------------------------------------------


def test_a_clone_has_settings_and_hooks_but_no_tasks():
    env = TaskEnvironment(
        "a", reusable=CONCURRENT, serializer="pickle", start_method="spawn", keep_warm=True
    )
    env.bind("redis://elsewhere")
    env.task(coroutine)
    env.on_start(plain_hook)
    clone = env.clone_with("b", keep_warm=False)
    assert (clone.name, clone.policy, clone.serializer.name) == ("b", CONCURRENT, "pickle")
    assert (clone.start_method, clone.keep_warm) == ("spawn", False)
    assert clone.hooks.on_start == [plain_hook]
    assert not clone.tasks
    assert clone.connection is env.connection
    assert clone.module == __name__
    clone.on_start(plain_hook)
    assert len(env.hooks.on_start) == 1


def test_a_clone_has_what_it_is_given():
    clone = TaskEnvironment("a").clone_with("b", reusable=CONCURRENT)
    assert clone.policy is CONCURRENT
    with pytest.raises(ValueError, match="only supported for async"):
        clone.task(plain)
    with pytest.raises(TypeError, match="image"):
        clone.clone_with("c", image="x")  # type: ignore[call-arg]


# -- hooks --------------------------------------------------------------------------------------


def plain_hook() -> None: ...


async def async_hook() -> None: ...


@pytest.mark.parametrize("kind", ["preload", "on_start", "on_stop"])
def test_hooks_are_kept_in_order_and_left_as_they_are(kind: str):
    env = TaskEnvironment("a")
    assert getattr(env, kind)(plain_hook) is plain_hook
    assert getattr(env, kind)()(async_hook) is async_hook
    assert getattr(env.hooks, kind) == [plain_hook, async_hook]


@pytest.mark.parametrize(
    ("hook", "says"),
    [
        (plain, "on_start hook plain is called without arguments: missing .* 'value'"),
        (numbers, "on_start hook numbers yields: put what is after the yield in an on_stop hook"),
        (3, "on_start takes a function, got a int"),
    ],
)
def test_a_hook_that_cannot_be_called_is_refused(hook: Any, says: str):
    with pytest.raises(TypeError, match=says):
        TaskEnvironment("a").on_start(hook)


# -- the record, Redis, other processes -----------------------------------------------------------


def test_the_record_is_what_redis_should_know():
    record = sample.env.record("support.sample:env")
    assert (record.name, record.policy, record.serializer) == ("sample", sample.env.policy, "json")
    assert (record.target, record.module) == ("support.sample:env", "support.sample")
    assert "support.sample.classify" in record.tasks


def test_the_redis_is_what_the_environment_variables_say(monkeypatch: pytest.MonkeyPatch):
    env = TaskEnvironment("a")
    monkeypatch.setenv("REDIS_URL", "redis://somewhere:1/2")
    assert env.connection.settings.redis_url == "redis://somewhere:1/2"
    assert env.connection is env.connection


def test_the_redis_is_what_bind_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REUSE_QUEUE_MAX_PAYLOAD", "77")
    env, shared = TaskEnvironment("a"), Connection(Settings(redis_url="unix:///x"))
    env.bind("redis://there")
    assert env.connection.settings.redis_url == "redis://there"
    assert env.max_payload == 77
    env.bind(Settings(redis_url="redis://then"))
    assert env.connection.settings.redis_url == "redis://then"
    env.bind(shared)
    assert env.connection is shared
    with pytest.raises(InvalidSettings):
        env.bind("http://there")
    with pytest.raises(ValueError, match="patience must not be negative"):
        env.bind(shared, patience=-1)


def test_tasks_and_environments_are_pickled_by_name():
    task = classify.override(priority="high")
    back = pickle.loads(pickle.dumps((sample.env, add, task)))
    assert back[0] is sample.env
    assert back[1].function is add.function
    assert back[2].options == task.options
    assert back[2].environment is sample.env


def test_an_environment_that_no_module_shows_cannot_be_pickled_over():
    with pytest.raises(UnknownEnvironment, match=f"module {__name__} has no environment 'hidden'"):
        pickle.loads(pickle.dumps(TaskEnvironment("hidden")))


APP = """
import sys
from reuse_queue import TaskEnvironment
env = TaskEnvironment("a")
try:
    @env.task
    def f() -> None: ...
except ValueError as error:
    print(error)
else:
    import pickle
    assert pickle.loads(pickle.dumps(env)) is env
    print(env.module, f.name)
"""


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["shop.py"], "shop shop.f"),
        (["-m", "pack.shop"], "pack.shop pack.shop.f"),
        (["-c", APP], "f is defined in an interactive session: replicas could not import it"),
    ],
)
def test_a_program_that_is_run_knows_its_module_as_replicas_will(
    tmp_path: Path, command: list[str], says: str
):
    (tmp_path / "pack").mkdir()
    for place in ("shop.py", "pack/shop.py"):
        (tmp_path / place).write_text(APP)
    out = python(*command, folder=tmp_path)
    assert says in out


def test_importing_the_library_costs_no_redis_and_no_terminal():
    out = python(
        "-c",
        "import sys, reuse_queue; before = set(sys.modules); "
        "from reuse_queue import TaskEnvironment, ReusePolicy, JobHandle; "
        "print('msgspec' in before, *(m for m in ('rq', 'redis', 'rich', 'structlog', 'click', "
        "'asyncio') if m in sys.modules))",
        folder=Path.cwd(),
    )
    assert out.split() == ["False"]


def test_only_what_is_public_can_be_imported_from_the_top():
    import reuse_queue

    assert all(getattr(reuse_queue, name) is not None for name in reuse_queue.__all__)
    assert dir(reuse_queue) == reuse_queue.__all__
    assert reuse_queue.__all__ == sorted(reuse_queue.__all__)
    with pytest.raises(ImportError):
        from reuse_queue import Signature  # type: ignore[attr-defined]  # noqa: F401


def test_a_task_is_still_its_function():
    assert (classify.__name__, classify.__doc__) == ("classify", "Say what is in a picture.")
    assert asyncio.run(classify("a.png", top=2)) == sample.Label("a.png", 2.0)
    assert add(1, b=2) == 3


def python(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
