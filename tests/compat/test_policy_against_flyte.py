"""Our ReusePolicy beside flyte's: same acceptance, fields and messages, but for DEVIATIONS."""

import importlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reuse_queue import ReusePolicy, StarvationWarning

flyte = importlib.import_module("flyte") if os.environ.get("CI") else pytest.importorskip("flyte")
Given = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a constructor made of its arguments."""

    error: str = ""
    fields: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Deviation:
    """Where we decide otherwise on purpose: for which arguments, and what we say."""

    name: str
    applies: Callable[[Given], bool]
    says: str


def numbers(given: Given) -> list[Any]:
    replicas = given.get("replicas", 2)
    pair = replicas if isinstance(replicas, tuple) else (replicas,)
    return [*pair, *(given.get(name) for name in ("concurrency", "idle_ttl", "scaledown_ttl"))]


def too_long(given: Given) -> bool:
    return any(
        isinstance(given.get(name), int) and abs(given[name]) > timedelta.max.total_seconds()
        for name in ("idle_ttl", "scaledown_ttl")
    )


DEVIATIONS = (
    Deviation(
        "a bool is no number",
        lambda given: any(n is True or n is False for n in numbers(given)),
        "must be an int",
    ),
    Deviation(
        "a maximum of 0 could never run a job",
        lambda given: given.get("replicas") in (0, (0, 0)),
        "replicas max must be at least 1, got 0",
    ),
    Deviation("a time that no timedelta holds is a ValueError too", too_long, "is too long"),
)

whole = st.one_of(st.integers(-3, 40), st.sampled_from([29, 30, 31, 10**12, 10**15]))
odd = st.one_of(st.booleans(), st.floats(), st.sampled_from([None, "", "2", b"2", [1, 2]]))
durations = st.one_of(
    whole,
    st.timedeltas(timedelta(seconds=-5), timedelta(seconds=60)),
    st.sampled_from([timedelta(seconds=30), timedelta(seconds=29, microseconds=999_999)]),
    odd,
)
pairs = st.one_of(
    st.tuples(whole | odd, whole | odd), st.tuples(whole), st.tuples(whole, whole, whole)
)
arguments = st.fixed_dictionaries(
    {},
    optional={
        "replicas": whole | pairs | odd,
        "idle_ttl": durations,
        "concurrency": whole | odd,
        "scaledown_ttl": durations,
        "scope": st.sampled_from(["global", "run", "Run", "", None, 1, True]),
    },
)


@settings(max_examples=1000, deadline=None)
@given(arguments)
def test_what_flyte_accepts_refuses_and_says_so_do_we(given: Given):
    ours, theirs = made_by(ReusePolicy, given), made_by(flyte.ReusePolicy, given)
    known = [each for each in DEVIATIONS if each.applies(given)]
    if known and ours != theirs:
        assert any(each.says in ours.error for each in known), (ours, theirs)
    else:
        assert ours == theirs


@settings(deadline=None)
@given(arguments)
def test_bounds_and_delay_read_the_same(given: Given):
    if made_by(ReusePolicy, given).error:
        return
    with warnings.catch_warnings(action="ignore"):
        ours, theirs = ReusePolicy(**given), flyte.ReusePolicy(**given)
    assert (ours.min_replicas, ours.max_replicas) == (theirs.min_replicas, theirs.max_replicas)
    assert ours.get_scaledown_ttl() == theirs.get_scaledown_ttl()


@pytest.mark.parametrize(
    ("deviation", "given"),
    [
        (DEVIATIONS[0], {"replicas": True}),
        (DEVIATIONS[0], {"concurrency": True}),
        (DEVIATIONS[1], {"replicas": 0}),
        (DEVIATIONS[1], {"replicas": (0, 0)}),
        (DEVIATIONS[2], {"idle_ttl": 10**15}),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_each_deviation_is_one_still(deviation: Deviation, given: Given):
    assert deviation.applies(given)
    assert deviation.says in made_by(ReusePolicy, given).error
    assert deviation.says not in made_by(flyte.ReusePolicy, given).error


def test_defaults_are_flytes():
    assert made_by(ReusePolicy, {}) == made_by(flyte.ReusePolicy, {})


def test_positional_arguments_come_in_flytes_order():
    assert ReusePolicy((1, 5), 300, 4, 600, "run") == ReusePolicy(
        replicas=(1, 5), idle_ttl=300, concurrency=4, scaledown_ttl=600, scope="run"
    )


def test_both_warn_of_starvation_and_neither_refuses():
    with pytest.warns(StarvationWarning, match="minimum of 2 replicas, to avoid starvation"):
        assert ReusePolicy(replicas=1).max_replicas == 1
    assert flyte.ReusePolicy(replicas=1).max_replicas == 1


def made_by(kind: Callable[..., Any], given: Given) -> Outcome:
    with warnings.catch_warnings(action="ignore"):
        try:
            policy = kind(**given)
        except (ValueError, OverflowError) as error:
            return Outcome(error=str(error))
    names = ("replicas", "idle_ttl", "concurrency", "scaledown_ttl", "scope")
    return Outcome(fields=tuple(getattr(policy, name) for name in names))
