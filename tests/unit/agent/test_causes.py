"""How an end is put into words, and whose fault it was."""

from pathlib import Path

import pytest

from reuse_agent.causes import because, ended_by
from reuse_agent.memory import OutOfMemory


@pytest.mark.parametrize(
    ("status", "out_of_memory", "words"),
    [
        (0, False, "exit code 0"),
        (7, False, "exit code 7"),
        (3, False, "exit code 3"),
        (93, False, "exit code 93 (fenced itself: its lease was lost, or Redis out of reach)"),
        (94, False, "exit code 94 (could not start)"),
        (-9, False, "killed by SIGKILL"),
        (-9, None, "killed by SIGKILL (out of memory?)"),
        (-9, True, "out of memory: killed by the kernel"),
        (-11, True, "killed by SIGSEGV"),
        (-64, False, "killed by SIGRTMAX"),
        (-99, False, "killed by signal 99"),
    ],
)
def test_an_end_in_words(status, out_of_memory, words):
    assert ended_by(status, out_of_memory=out_of_memory) == words


@pytest.mark.parametrize(
    "text",
    ["low 0\nhigh 3\noom 2\noom_kill {}\n", "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"],
)
def test_each_kill_that_the_group_counts_explains_one_death(tmp_path: Path, text: str):
    group, machine = tmp_path / "group", tmp_path / "vmstat"
    machine.write_text("pgfault 9\noom_kill 5\n")
    group.write_text(text.format(3))
    memory = OutOfMemory(group, machine)
    assert memory.killed() is False
    group.write_text(text.format(5))
    assert [memory.killed(), memory.killed(), memory.killed()] == [True, True, False]


def test_without_a_group_to_read_the_machines_count_leaves_a_doubt(tmp_path: Path):
    machine = tmp_path / "vmstat"
    machine.write_text("oom_kill 5\n")
    memory = OutOfMemory(tmp_path / "none", machine)
    assert memory.killed() is False
    machine.write_text("oom_kill 6\n")
    assert memory.killed() is None
    assert memory.killed() is False


def test_another_groups_kill_is_not_ours(tmp_path: Path):
    group, machine = tmp_path / "group", tmp_path / "vmstat"
    group.write_text("oom_kill 0\n")
    machine.write_text("oom_kill 5\n")
    memory = OutOfMemory(group, machine)
    machine.write_text("oom_kill 6\n")
    assert memory.killed() is False


def test_a_cause_names_the_error_and_stays_short_whatever_that_says():
    said = "Traceback …\nValueError: no model\n"
    assert because("exit code 94", said) == "exit code 94: ValueError: no model"
    long = because("exit code 94", f"Traceback …\nValueError: {'x' * 30_000}")
    assert long.startswith("exit code 94: ValueError: xxx")
    assert len(long) < 600
