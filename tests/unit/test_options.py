from datetime import timedelta
from typing import Any

import pytest

from reuse_queue import Backoff, Priority
from reuse_queue.options import MAX_RETRIES, TaskOptions

S = timedelta(seconds=1)


def seconds(*numbers: float) -> tuple[timedelta, ...]:
    return tuple(number * S for number in numbers)


def test_durations_are_seconds_or_timedeltas():
    options = TaskOptions().changed({"timeout": 30, "delay": 0.5, "result_ttl": timedelta(hours=1)})
    assert (options.timeout, options.delay, options.result_ttl) == seconds(30, 0.5, 3600)


def test_none_is_no_limit():
    options = TaskOptions().changed({"timeout": None, "result_ttl": None, "failure_ttl": None})
    assert (options.timeout, options.result_ttl, options.failure_ttl) == (None, None, None)


def test_what_is_not_given_stays_and_zero_counts_as_given():
    options = TaskOptions().changed({"retries": 3, "priority": "high"}).changed({"retries": 0})
    assert options == TaskOptions(retries=0, priority=Priority.HIGH)


@pytest.mark.parametrize(
    ("backoff", "retries", "delays"),
    [
        (Backoff(), 3, seconds(1, 2, 4)),
        (Backoff(base=10, factor=3, cap=50), 4, seconds(10, 30, 50, 50)),
        (Backoff(base=2, factor=1), 5, seconds(2)),
        (5, 4, seconds(5)),
        (timedelta(minutes=1), 1, seconds(60)),
        (None, 4, ()),
        (Backoff(), 0, ()),
    ],
)
def test_each_retry_has_its_wait(backoff: Any, retries: int, delays: tuple[timedelta, ...]):
    options = TaskOptions().changed({"backoff": backoff, "retries": retries})
    assert options.retry_delays == delays


def test_a_wait_never_overflows():
    options = TaskOptions().changed({"backoff": Backoff(factor=1e300), "retries": MAX_RETRIES})
    assert options.retry_delays[-1] == timedelta(minutes=5)
    assert len(options.retry_delays) == MAX_RETRIES


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("retries", -1, "retries must be from 0 to 1000, got -1"),
        ("retries", 1.5, "retries must be an int, got 1.5"),
        ("retries", True, "retries must be an int, got True"),
        ("retries", None, "retries must be an int, got None"),
        ("timeout", 0, "timeout must be longer than 0 s; None is no limit"),
        ("queue_timeout", 0, "queue_timeout must be longer than 0 s; None is no limit"),
        ("deadline", "soon", "deadline must be a number of seconds or a timedelta, got 'soon'"),
        ("timeout", "30", "timeout must be a number of seconds or a timedelta, got '30'"),
        ("timeout", float("nan"), "timeout is not a duration: nan"),
        ("delay", -1, "delay must not be negative, got -1"),
        ("delay", 1e300, "delay is not a duration: 1e+300"),
        ("result_ttl", True, "result_ttl must be a number of seconds"),
        ("backoff", "1", "backoff must be .*; a Backoff will do too, and None for no wait"),
        ("priority", "urgent", "priority must be one of 'high', 'normal', got 'urgent'"),
        ("redeliver", 0, "redeliver must be True or False, got 0"),
    ],
)
def test_a_value_that_will_not_do_says_what_would(option: str, value: Any, says: str):
    with pytest.raises(ValueError, match=says.replace("+", r"\+")):
        TaskOptions().changed({option: value})


def test_an_option_that_does_not_exist_brings_up_the_one_that_was_meant():
    with pytest.raises(TypeError, match="no option 'retry'; did you mean retries"):
        TaskOptions().changed({"retry": 3})
    with pytest.raises(TypeError, match="no option 'zzz'; there are retries, backoff, timeout"):
        TaskOptions().changed({"zzz": 3})


@pytest.mark.parametrize(
    ("option", "says"),
    [("reusable", "clone_with"), ("image", "host"), ("name", "dotted name"), ("env_vars", "host")],
)
def test_what_flytes_tasks_take_and_ours_cannot_says_why(option: str, says: str):
    with pytest.raises(ValueError, match=f"{option} cannot be set for a task: .*{says}"):
        TaskOptions().changed({option: None})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"factor": 0.5}, "backoff factor must be a number from 1 on, got 0.5"),
        ({"factor": float("inf")}, "backoff factor"),
        ({"base": -1}, "backoff base must not be negative"),
        ({"base": 10, "cap": 5}, "cap .* must not be shorter than base"),
    ],
)
def test_a_backoff_that_makes_no_sense_is_refused(given: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        Backoff(**given)


def test_a_deadline_before_the_job_is_due_is_refused():
    with pytest.raises(ValueError, match=r"deadline \(0:00:30\) must be longer than delay"):
        TaskOptions().changed({"delay": 60}).changed({"deadline": 30})
    assert TaskOptions().changed({"delay": 30, "deadline": 60}).deadline == timedelta(minutes=1)
