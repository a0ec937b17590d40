from collections.abc import Callable
from typing import Any

from reuse_queue import TaskFailed, errors
from reuse_worker.failures import LONGEST_TEXT, describe, shortened


def caught(function: Callable[..., Any], *args: object) -> BaseException:
    try:
        function(*args)
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


def divide(by: int) -> float:
    return 1 / by


def test_a_traceback_shows_where_and_what():
    text = describe(caught(divide, 0))
    assert text.startswith("Traceback (most recent call last):\n")
    assert "return 1 / by" in text
    assert text.endswith("ZeroDivisionError: division by zero\n")


def test_our_own_frames_above_the_tasks_are_left_out():
    scope: dict[str, Any] = {}
    exec(compile("def call(f): f()", describe.__code__.co_filename, "exec"), scope)
    error = caught(scope["call"], lambda: divide(0))
    assert error.__traceback__
    error.__traceback__ = error.__traceback__.tb_next  # the frame of `caught`
    text = describe(error)
    assert "/reuse_worker/failures.py" not in text
    assert "return 1 / by" in text


def test_our_own_frames_below_the_tasks_are_left_out_of_our_errors_alone():
    def waits(error: Exception) -> None:
        scope: dict[str, Any] = {}
        exec(compile("def wait(e): raise e", errors.__file__, "exec"), scope)
        scope["wait"](error)

    assert "in wait\n" not in describe(caught(waits, TaskFailed("7f", "")))
    assert "in waits\n" in describe(caught(waits, TaskFailed("7f", "")))
    assert "in wait\n" in describe(caught(waits, ValueError("a fault of ours")))


def test_what_led_to_an_error_is_shown():
    def chained():
        try:
            divide(0)
        except ZeroDivisionError as error:
            raise ValueError("no such share") from error

    text = describe(caught(chained))
    assert "ZeroDivisionError" in text
    assert text.endswith("ValueError: no such share\n")


def test_a_long_text_loses_its_middle_and_keeps_its_end():
    text = describe(ValueError("x" * 1_000_000 + "the end"))
    assert len(text) < LONGEST_TEXT + 100
    assert "characters left out" in text
    assert text.endswith("the end\n")
    assert shortened("short") == "short"


def test_an_error_that_cannot_be_shown_is_named():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError("not even this")

    assert "Broken" in describe(Broken())


def test_a_text_that_is_no_utf8_is_spelled_out():
    assert "\\ud800" in describe(ValueError("\ud800"))


def test_a_cycle_of_causes_ends():
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert "one" in describe(one)
