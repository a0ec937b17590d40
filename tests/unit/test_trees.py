"""What `./dev trees` calls a violation: each rule, by a history that breaks it."""

import pytest

from support.call_graphs import Node
from trees import notes

TREE = Node(task="wide", children=(Node(task="here"),))
FINE = ("begin 7 a 1", "begin 7.0 b 2", "end 7.0 b 2", "heard 7.0", "end 7 a 1")


def verdict(*lines: str) -> list[str]:
    return notes.violations(notes.read(lines, "7"), notes.paths(TREE, "7"))


def test_a_tree_that_runs_once_is_fine_whatever_others_do():
    assert verdict(*FINE, "begin 8 c 1", "struck 1") == []


def test_what_ran_in_a_process_that_was_killed_may_run_again():
    assert verdict(*FINE[:2], "struck 2", "begin 7.0 b 3", *FINE[2:]) == []


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        (FINE[:4], "7 never ran to its end"),
        ((*FINE, "begin 7.1 c 1"), "7.1 was never called"),
        ((*FINE[:2], "struck 2", "begin 7.0 c 3", *FINE[2:]), "7.0 is several jobs: ['b', 'c']"),
        (
            (*FINE[:4], "struck 2", "begin 7.0 b 3", FINE[4]),
            "7.0 ran again although its parent had its result",
        ),
        (
            (*FINE[:2], "begin 7.0 b 3", *FINE[2:]),
            "7.0 ran again although nothing had happened to 2",
        ),
    ],
)
def test_every_rule_finds_what_breaks_it(lines: tuple[str, ...], wrong: str):
    assert verdict(*lines) == [wrong]
