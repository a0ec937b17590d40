"""What can be loaded from `module:attribute`, and what is said where it cannot."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reuse_queue.errors import TargetNotLoaded
from reuse_worker import fingerprint, target

APP = """
from reuse_queue import ReusePolicy, TaskEnvironment
other = 3
env = TaskEnvironment("trial", reusable=ReusePolicy((0, 2){policy}){more})
second = TaskEnvironment("second")
"""
TASK = """
@env.task
async def one() -> int: return 1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(text: str, *, policy: str = "", more: str = "", name: str = "unit_app") -> None:
    Path(f"{name}.py").write_text(text.replace("{policy}", policy).replace("{more}", more))


def refusal(name: str) -> TargetNotLoaded:
    with pytest.raises(TargetNotLoaded) as caught:
        target.load(name)
    return caught.value


def test_a_module_of_the_current_folder_is_found():
    write(APP)
    assert target.load("unit_app:env").name == "trial"


@pytest.mark.parametrize("name", ["", "unit_app", ":env", "unit_app:", "unit_app:env()"])
def test_what_is_no_target_is_said_with_an_example(name: str):
    assert "write module:attribute, as in app:env" in str(refusal(name))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("unit_app:nev", "unit_app has no attribute 'nev'; its environments: "),
        (
            "unit_app:other",
            "unit_app:other is no TaskEnvironment but of type int; its environments: ",
        ),
    ],
)
def test_a_wrong_attribute_is_said_with_the_right_ones(name: str, says: str):
    write(APP)
    assert str(refusal(name)) == f"{says}unit_app:env, unit_app:second"


def test_a_module_without_environments_is_said_to_have_none():
    write("x = 1\n")
    assert str(refusal("unit_app:env")) == (
        "unit_app has no attribute 'env', nor any TaskEnvironment"
    )


@pytest.mark.parametrize("name", ["no_such", "no_such.part"])
def test_a_module_that_is_not_there_is_told_from_one_that_it_imports(name: str):
    assert "there is no module 'no_such'" in str(refusal(f"{name}:env"))
    write("import no_such\n")
    error = refusal("unit_app:env")
    assert str(error) == (
        "unit_app cannot be imported: ModuleNotFoundError: No module named 'no_such'"
    )
    assert error.__cause__ is not None


def test_an_import_that_fails_is_explained_by_the_applications_own_frames():
    write("def boom():\n    raise ValueError('bad line')\n\nboom()\n")
    shown = target.explained(refusal("unit_app:env"))
    assert "in boom" in shown
    assert shown.endswith("unit_app cannot be imported: ValueError: bad line")
    assert "importlib" not in shown
    assert "target.py" not in shown


def version(text: str = APP + TASK, **more: str) -> str:
    write(text, **more)
    sys.modules.pop("unit_app", None)
    return fingerprint.version(target.load("unit_app:env"))


def test_the_same_code_has_the_same_version_and_other_code_another():
    assert version() == version()
    assert len(version()) == 12
    different = {
        version(),
        version(APP + TASK.replace("return 1", "return 2")),
        version(policy=", concurrency=3"),
        version(more=", serializer='pickle'"),
        version(more=", start_method='spawn'"),
    }
    assert len(different) == 5


def test_a_task_in_another_module_counts():
    app = APP + "\nimport unit_tasks\n"
    tasks = "from unit_app import env\n@env.task\nasync def one() -> int: return {n}\n"
    versions = set()
    for number in "12":
        write(tasks.replace("{n}", number), name="unit_tasks")
        sys.modules.pop("unit_tasks", None)
        versions.add(version(app))
    assert len(versions) == 2


def test_an_explicit_version_is_the_version():
    assert version(more=", version='2026.1'") == "2026.1"
