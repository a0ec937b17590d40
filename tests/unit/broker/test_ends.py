"""What a claim tells of a job's end, whatever stands in its hash."""

import json
from typing import Any

import pytest

from reuse_queue.broker import codec, ends
from reuse_queue.job import Decided, Verdict

RIGHT = {"verdict": "failed", "text": "why", "retry": True, "run": "then"}


def test_a_decided_end_is_that_of_its_run() -> None:
    text = json.dumps(RIGHT).encode()
    assert codec.decided(text, b"then") == Decided(verdict=Verdict.FAILED, text="why", retry=True)
    assert (
        codec.decided(text, b"now") is codec.decided(text, None) is codec.decided(None, b"") is None
    )


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        "failed",
        7,
        {},
        {"verdict": "finished", "text": "why"},
        {"verdict": ["failed"], "text": "why"},
        {"verdict": "failed"},
    ],
)
def test_what_is_no_decided_end_is_none(wrong: Any) -> None:
    named = {"failure": ["app.mourn", "7"], "decided": wrong}
    found = ends.parts(json.dumps(named).encode())
    assert found["decided"] is None
    assert [*found["callbacks"]] == ["failure"]
    where = wrong | {"run": "then"} if isinstance(wrong, dict) else wrong
    assert codec.decided(json.dumps(where).encode(), b"then") is None


@pytest.mark.parametrize("text", [b"[" * 100_000, b"no JSON", b"\xff", b"null"])
def test_what_cannot_be_read_is_none(text: bytes) -> None:
    assert codec.decided(text, b"then") is None
