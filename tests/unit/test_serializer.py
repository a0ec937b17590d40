import datetime
import json
import math
import pickle
import zlib
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rq.serializers import DefaultSerializer, JSONSerializer

from reuse_queue import NotDeserializable, NotSerializable, PayloadTooLarge
from reuse_queue.serializer import check_size, serializer
from support.sample import Colour, Label

JSON, PICKLE = serializer("json"), serializer("pickle")

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("aä\ud800☃"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab☃"), inner),
    max_leaves=10,
)


@settings(deadline=None)
@given(values)
def test_plain_values_are_written_byte_for_byte_as_rq_writes_them(value: Any):
    assert JSON.dumps(value) == JSONSerializer.dumps(value)
    assert JSON.loads(JSONSerializer.dumps(value)) == value
    assert PICKLE.dumps(value) == DefaultSerializer.dumps(value)


@pytest.mark.parametrize("ours", [JSON, PICKLE])
def test_a_call_is_rqs_tuple_and_comes_back(ours: Any):
    data = ours.pack("app.f", ("a", 1), {"top": 2})
    theirs = JSONSerializer if ours is JSON else DefaultSerializer
    assert data == theirs.dumps(("app.f", None, ("a", 1), {"top": 2}))
    assert ours.unpack(data) == ("app.f", ("a", 1), {"top": 2})


@pytest.mark.parametrize("ours", [JSON, PICKLE])
def test_a_long_call_is_rqs_compressed_tuple_and_comes_back(ours: Any):
    data = ours.pack("app.f", ("a" * 500,), {})
    theirs = JSONSerializer if ours is JSON else DefaultSerializer
    assert data == zlib.compress(theirs.dumps(("app.f", None, ("a" * 500,), {})))
    assert ours.unpack(data) == ("app.f", ("a" * 500,), {})


def test_no_short_call_could_be_taken_for_a_compressed_one():
    for ours in (JSON, PICKLE):
        with pytest.raises(zlib.error):
            zlib.decompress(ours.pack("app.f", (), {}))


def test_data_that_was_never_compressed_is_read_as_rq_reads_it():
    assert JSON.unpack(b'["app.f", null, [1], {}]') == ("app.f", (1,), {})
    assert PICKLE.unpack(pickle.dumps(("app.f", None, (1,), {}))) == ("app.f", (1,), {})


def test_numbers_that_json_has_no_word_for_survive():
    back = JSON.loads(JSON.dumps([math.nan, math.inf, -math.inf, 2**100, 1e-300]))
    assert math.isnan(back[0])
    assert back[1:] == [math.inf, -math.inf, 2**100, 1e-300]


def test_richer_values_become_plain_ones():
    class Model(pydantic.BaseModel):
        at: datetime.date

    value = {
        1: Label("a"),
        "set": {1},
        "tuple": (1, 2),
        "bytes": b"\x00\xff",
        "colour": Colour.RED,
        "path": Path("/a/b"),
        "model": Model(at=datetime.date(2026, 1, 2)),
    }
    assert JSON.loads(JSON.dumps(value)) == {
        "1": {"name": "a", "score": 1.0},
        "set": [1],
        "tuple": [1, 2],
        "bytes": "AP8=",
        "colour": "red",
        "path": "/a/b",
        "model": {"at": "2026-01-02"},
    }


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (object(), "builtins.object"),
        ({(1, 2): 3}, "str-like or number-like keys"),
        (circular(), "nested too deeply, or holds itself"),
        ([{"a": {1j}}], "complex"),
    ],
)
def test_what_json_cannot_hold_is_named(value: Any, says: str):
    with pytest.raises(NotSerializable, match=says):
        JSON.dumps(value)


def test_what_cannot_be_pickled_is_named():
    with pytest.raises(NotSerializable, match="generator"):
        PICKLE.dumps(iter(x for x in [1]))


@pytest.mark.parametrize("ours", [JSON, PICKLE])
@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"[1, 2", zlib.compress(b"{"), zlib.compress(b"[" * 100_000)]
)
def test_bytes_that_nobody_wrote_are_refused_in_words(ours: Any, data: bytes):
    with pytest.raises(NotDeserializable):
        ours.unpack(data)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"f": 1}, "no call as rq writes one"),
        (["app.f", None, [1]], "no call"),
        ([3, None, [], {}], "no call"),
        (["app.f", None, "ab", {}], "no call"),
        (["run", {"self": 1}, [], {}], "method 'run' of an object"),
    ],
)
def test_a_payload_that_is_no_call_of_a_function_is_refused(call: Any, says: str):
    with pytest.raises(NotDeserializable, match=says):
        JSON.unpack(json.dumps(call).encode())


def test_json_never_runs_what_a_payload_holds():
    class Bomb:
        def __reduce__(self) -> Any:
            return pytest.fail, ("ran",)

    with pytest.raises(NotDeserializable):
        JSON.unpack(zlib.compress(pickle.dumps(("app.f", None, (Bomb(),), {}))))


def test_too_large_a_payload_says_how_large_and_what_to_do():
    with pytest.raises(PayloadTooLarge, match=r"app\.f: 3\.0 MiB, and the limit is 2 MiB.*MAX_PAY"):
        JSON.pack("app.f", ("a" * 3 * 1024 * 1024,), {}, limit=2 * 1024 * 1024)
    check_size("the result", b"12", 2)


def test_a_serializer_of_another_name_is_refused():
    with pytest.raises(ValueError, match="one of json, pickle; got 'yaml'"):
        serializer("yaml")  # type: ignore[arg-type]
