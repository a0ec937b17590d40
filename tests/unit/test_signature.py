import datetime
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pydantic
import pytest

from reuse_queue import InvalidArguments, NotDeserializable, NotSerializable, TaskEnvironment
from reuse_queue.serializer import serializer
from reuse_queue.signature import Signature
from support.sample import (
    Box,
    Colour,
    Everything,
    Label,
    Point,
    anything,
    classify,
    echo,
    keep,
    lenient,
)

WHOLE = Everything(
    moment=datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC),
    span=datetime.timedelta(days=1, microseconds=3),
    colour=Colour.RED,
    key=uuid.UUID(int=7),
    data=b"\x00\xff",
    price=Decimal("1.10"),
    tags={"a", "b"},
    pair=(1, "x"),
    by_number={1: Label("one"), -2: Label("two", 2)},
    point=Point(3),
    path=Path("/a/b"),
)


def sent(task: Any, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments as a replica calls the function with them."""
    task.signature.check(args, kwargs)
    data = task.signature.pack(args, kwargs, 10_000)
    name, got_args, got_kwargs = task.environment.serializer.unpack(data)
    assert name == task.name
    result: tuple[tuple[Any, ...], dict[str, Any]] = task.signature.arguments(got_args, got_kwargs)
    return result


def test_every_type_comes_back_as_what_it_was():
    assert sent(echo, WHOLE) == ((WHOLE,), {})
    assert sent(echo, value=WHOLE) == ((), {"value": WHOLE})


def test_a_result_comes_back_as_what_its_annotation_says():
    json = serializer("json")
    assert echo.signature.returned(json.loads(json.dumps(WHOLE))) == WHOLE
    assert keep.signature.returned(WHOLE) is WHOLE


def test_a_result_that_is_not_what_its_annotation_says_is_refused():
    with pytest.raises(NotDeserializable, match=r"classify returned something else.*`name`"):
        classify.signature.returned({"score": 1})


def test_what_has_no_annotation_arrives_as_json_has_it():
    assert sent(anything, Label("a"), 1, 2, more=1) == (
        ({"name": "a", "score": 1.0}, 1, 2),
        {"more": 1.0},
    )
    assert sent(anything, (1, {2})) == (([1, [2]],), {})


def test_an_annotation_that_cannot_be_resolved_is_none():
    assert sent(lenient, {"a": 1}, Label("b")) == (({"a": 1}, Label("b")), {})
    assert lenient.signature.returned([1]) == [1]


def test_none_will_do_where_it_is_the_default():
    assert sent(lenient, 1, None) == ((1, None), {})


def test_pickled_arguments_arrive_as_they_were():
    value = {(1, 2): {3}}
    assert sent(keep, value) == ((value,), {})


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "missing a required argument: 'path'"),
        (("a", 1, 2), {}, "too many positional arguments"),
        (("a",), {"path": "b"}, "multiple values for argument 'path'"),
        (("a",), {"size": 1}, "unexpected keyword argument 'size'"),
        ((3,), {}, "parameter 'path': Expected `str`, got `int`"),
        (("a",), {"top": "1"}, "parameter 'top': Expected `int`, got `str`"),
        (("a", True), {}, "parameter 'top': Expected `int`, got `bool`"),
        (("a", None), {}, "parameter 'top': Expected `int`, got `null`"),
    ],
)
@pytest.mark.parametrize("check", ["check", "arguments"])
def test_arguments_that_do_not_fit_are_refused_by_name_on_both_sides(
    check: str, args: tuple[Any, ...], kwargs: dict[str, Any], says: str
):
    with pytest.raises(InvalidArguments) as caught:
        getattr(classify.signature, check)(args, kwargs)
    assert str(caught.value).startswith("support.sample.classify(path: str, top: int = 1): ")
    assert says in str(caught.value)


def test_a_value_at_fault_is_found_inside_another():
    broken = {1: {"name": "a", "score": "high"}}
    with pytest.raises(InvalidArguments, match=r"Expected `float`, got `str` - at `\$\.by_num"):
        echo.signature.check(({**vars(WHOLE), "by_number": broken},), {})


def test_more_arguments_are_checked_by_the_annotation_of_the_rest():
    with pytest.raises(InvalidArguments, match="parameter 'rest': Expected `int`"):
        anything.signature.check((None, 1, "2"), {})
    with pytest.raises(InvalidArguments, match="parameter 'extra': Expected `float`"):
        anything.signature.check((None,), {"extra": "x"})


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}])
def test_a_value_that_json_cannot_hold_is_named_with_its_parameter(value: Any):
    with pytest.raises(NotSerializable, match=r"'value' \((object|dict)\): .*\"pickle\""):
        sent(anything, value)


def test_a_value_that_cannot_be_pickled_is_named_with_its_parameter():
    with pytest.raises(NotSerializable, match=r"'value' \(generator\): .*Pass plain data"):
        sent(keep, (x for x in [1]))


def test_an_object_that_json_could_not_give_back_is_refused_with_the_reason():
    """A union of two dataclasses has no tag in JSON to tell them apart by."""
    with pytest.raises(NotSerializable, match=r"'wanted': a Box would arrive as a plain .*union"):
        sent(anything, 1, wanted=Box(1))
    assert sent(anything, 1, wanted=None) == ((1,), {"wanted": None})


def keyword_only(*, needed: int) -> None: ...


def places_only(first: int, second: int = 0, /) -> None: ...


def test_every_kind_of_parameter_binds():
    json = serializer("json")
    needs = Signature("f", keyword_only, json)
    needs.check((), {"needed": 1})
    for args, kwargs in (((), {}), ((1,), {})):
        with pytest.raises(InvalidArguments):
            needs.check(args, kwargs)
    places = Signature("f", places_only, json)
    places.check((1, 2), {})
    with pytest.raises(InvalidArguments):
        places.check((), {"first": 1})


def test_an_annotation_may_name_what_is_defined_later():
    namespace: dict[str, Any] = {"__name__": "later"}
    code = "from __future__ import annotations\ndef f(value: Late): ...\nclass Late(int): ..."
    exec(code, namespace)
    task = TaskEnvironment("later").task(namespace["f"])
    with pytest.raises(InvalidArguments, match="Expected `Late`, got `str`"):
        task.signature.arguments(("x",), {})


class Own:
    """A class that JSON has no form for."""


class Form(pydantic.BaseModel):
    at: datetime.date


def forms(form: Form, own: Own) -> dict[str, Form]: ...  # type: ignore[empty-body]


def test_pydantic_models_come_back_as_what_they_were():
    signature = Signature("f", forms, serializer("json"))
    form = Form(at=datetime.date(2026, 1, 2))
    plain, own = {"at": "2026-01-02"}, Own()
    assert signature.arguments((plain, own), {}) == ((form, own), {})
    assert signature.returned({"a": plain}) == {"a": form}
    with pytest.raises(InvalidArguments, match=r"(?s)parameter 'form': .*valid date"):
        signature.arguments(({"at": "soon"}, own), {})
    with pytest.raises(InvalidArguments, match="parameter 'own': Expected `Own`, got `dict`"):
        signature.arguments((plain, {}), {})
