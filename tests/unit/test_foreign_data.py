"""Whatever stands in Redis where our data should: what reads it says what it can, and goes on.

Anybody may write to a job's hash or to a record: another program, another release, a bad disk.
"""

import base64
import itertools
import json
import pickle
import sys
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reuse_queue import ReusePolicy, Settings, TaskEnvironment
from reuse_queue.broker import codec, decisions, records, results
from reuse_queue.facts import EnvironmentState, Host, Replica
from reuse_queue.job import ClaimedJob, JobStatus, Outcome, ResultKind, Verdict
from reuse_queue.serializer import SerializerName
from reuse_queue.signing import signer
from reuse_worker.call import Call
from reuse_worker.execute import Executor

DEEP = b"[" * 100_000
# Few random bytes look like anything at all: these nearly do.
ALMOST = [
    b"",
    b"\xff\xfe",
    b"nan",
    b"inf",
    b"-1",
    b"1e300",
    b"9" * 30,
    b"9" * 5000,
    b"-" + b"9" * 30,
    "١٢".encode(),
    b"0001-01-01T00:00:00+14:00",
    b"9999-12-31T23:59:59-14:00",
    b"2026-02-30T00:00:00Z",
    b"null",
    b"{}",
    b"[]",
    b'"text"',
    b'{"min": NaN, "max": 1e400, "idle_ttl": -1, "concurrency": [], "scaledown_ttl": null}',
    b'{"min": 0, "max": 1, "idle_ttl": 1e300, "concurrency": 1, "scaledown_ttl": 30}',
    b"9" * 5000 + b"," + b"9" * 5000,
    DEEP,
    b'{"a":' * 100_000,
    zlib.compress(DEEP),
    zlib.compress(b"\x00" * 100_000),
    zlib.compress(b'["app.task", null, [], {}]')[:-5],
    b'["app.task", null, [], {}',
    b'["app.task", null, {}, []]',
    b'["app.task", "instance", [], {}]',
    pickle.dumps(("app.task", None, (), {}))[:-3],
    b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\xff.",
    b"\x80\x05c" + b"os\nsystem\n",
    base64.b64encode(b"no zlib"),
    base64.b64encode(zlib.compress(b"\xff" * 10))[:-2],
]
anything = st.one_of(st.binary(max_size=40), st.sampled_from(ALMOST))
perhaps = st.one_of(st.none(), anything)
MANY = settings(max_examples=150, deadline=None)


# -- jobs -----------------------------------------------------------------------------------


@MANY
@given(st.lists(perhaps, min_size=len(codec.JOB_FIELDS), max_size=len(codec.JOB_FIELDS)))
def test_a_job_is_read_from_any_hash(values: list[bytes | None]):
    fields = dict(zip(codec.JOB_FIELDS, values, strict=True))
    job = codec.job("j1", values)
    assert (job is None) == (fields["data"] is None and fields["origin"] is None)


def test_one_broken_field_leaves_the_others():
    sound = dict.fromkeys(codec.JOB_FIELDS, b"") | {
        "data": zlib.compress(b'["app.task", null, [], {}]'),
        "origin": b"app",
        "status": b"queued",
        "retries_left": b"2",
    }
    for field, value in itertools.product(codec.JOB_FIELDS, ALMOST):
        job = codec.job("j1", list((sound | {field: value}).values()))
        assert job is not None
        assert field == "data" or job.task == "app.task"
        assert field == "status" or job.status is JobStatus.QUEUED
        assert field == "retries_left" or job.retries_left == 2


@MANY
@given(
    anything, st.dictionaries(st.sampled_from([b"type", b"return_value", b"exc_string"]), anything)
)
def test_a_result_is_read_from_any_entry(entry: bytes, found: dict[bytes, bytes]):
    words = [word for pair in ({b"type": b"1"} | found).items() for word in pair]
    record = results.result_record(entry, words)
    if record.kind is not ResultKind.SUCCESSFUL and b"exc_string" in found:
        assert record.error


def test_a_result_that_was_cut_is_no_result_of_none():
    record = results.result_record(b"1-1", [b"type", b"1", b"return_value", b"bm90IGN1d"])
    assert record.value is not None
    other = results.result_record(b"1-1", [b"type", b"77", b"return_value", b"MQ=="])
    assert other.kind is ResultKind.FAILED
    assert "of a kind that is not known here (77)" in other.error


def test_a_traceback_that_unpacks_to_more_than_memory_is_cut():
    bomb = base64.b64encode(zlib.compress(b"x" * 50_000_000))
    record = results.result_record(b"1-1", [b"type", b"2", b"exc_string", bomb])
    assert 0 < len(record.error) < 2_000_000


def test_a_name_that_is_no_text_goes_back_as_it_came():
    name = codec.name(b"j\xff\xfe1")
    assert name.encode(errors="surrogateescape") == b"j\xff\xfe1"


# -- the fleet's records --------------------------------------------------------------------

texts = st.one_of(
    st.text(max_size=20), st.sampled_from([each.decode(errors="replace") for each in ALMOST])
)
hashes = st.dictionaries(
    st.sampled_from(
        [
            *("state", "active_since", "policy", "override", "paused", "serializer", "tasks"),
            *("offers", "broken", "max_replicas", "draining", "format"),
            *("ordered_at", "ready_at", "idle_since", "pid", "jobs_done", "drain_reason"),
            *("at", "age", "held", "was_ready", "unheard of"),
        ]
    ),
    anything,
)


def flat(found: dict[str, bytes]) -> list[bytes]:
    return [word for key, value in found.items() for word in (key.encode(), value)]


@MANY
@given(hashes, st.integers(-(2**63), 2**63 - 1), st.binary(max_size=8))
def test_every_record_is_read_or_left_out(found: dict[str, bytes], lease: int, name: bytes):
    words = flat({key: value for key, value in found.items() if key != "format"})
    record = records.environment("app", records.fields(words), ())
    assert record.state in set(EnvironmentState)
    assert isinstance(records.host([name, lease, words]), Host)
    assert all(
        isinstance(each, Replica) for each in records.replicas("app", [[name, lease, 0, words]])
    )
    assert records.death(words).age >= timedelta(0)


@MANY
@given(
    st.one_of(
        anything,
        st.dictionaries(
            st.sampled_from(
                ["environment", "state", "want", "actions", "reason", "at", "degraded"]
            ),
            st.recursive(st.one_of(st.none(), st.text(), st.floats(), st.integers()), st.lists),
        ).map(lambda found: json.dumps(found).encode()),
    )
)
def test_a_decision_is_read_or_left_out(text: bytes):
    assert list(decisions.decisions([(b"1-1", {b"decision": text})])) == []


# -- payloads -------------------------------------------------------------------------------


async def task(value: Any = None) -> Any:
    return value


def executor(serializer: SerializerName = "json", **more: Any) -> Executor:
    env = TaskEnvironment("app", reusable=ReusePolicy(replicas=(0, 2)), serializer=serializer)
    env.task(task)
    return Executor(env, "r1", Settings(**more), enter=print)


def claimed(data: bytes, **more: Any) -> ClaimedJob:
    return ClaimedJob(id="j1", execution="e1", data=data, timeout=None, result_ttl=None, **more)


NAME = f"{__name__}.task"
calls = st.one_of(
    anything,
    st.tuples(
        st.one_of(st.just(NAME), st.text()),
        st.one_of(st.none(), st.text()),
        st.recursive(st.one_of(st.none(), st.booleans(), st.floats(), st.text()), st.lists),
        st.one_of(st.dictionaries(st.text(), st.integers()), st.none()),
    ).map(lambda call: json.dumps(call).encode()),
)
JSON, SIGNED = executor(), executor(signing_keys=f"a:{'s' * 32}")


@MANY
@given(calls, st.booleans(), st.integers(0, 60))
def test_any_payload_becomes_a_call_or_a_failure_with_a_reason(data: bytes, packed: bool, cut: int):
    data = zlib.compress(data)[: -cut or None] if packed else data
    loaded = JSON.load(claimed(data))
    if isinstance(loaded, Outcome):
        assert loaded.verdict is Verdict.FAILED
        assert "Error" in loaded.error or "reuse_queue.errors." in loaded.error
    else:
        assert isinstance(loaded, Call)
    assert isinstance(SIGNED.load(claimed(data, signature=data[:20])), Outcome)


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_what_nearly_is_a_payload_fails_with_a_reason(serializer: SerializerName):
    runs = executor(serializer)
    for data in ALMOST + [zlib.compress(each) for each in ALMOST]:
        loaded = runs.load(claimed(data))
        assert isinstance(loaded, Outcome)
        assert not loaded.retry
        assert loaded.error.strip()


def test_a_payload_that_unpacks_to_more_than_its_limit_is_not_unpacked():
    bomb = zlib.compress(b"[" + b" " * 200_000_000 + b"]", 9)
    loaded = executor(max_payload=1_000_000).load(claimed(bomb))
    assert isinstance(loaded, Outcome)
    assert "PayloadTooLarge: the arguments: they unpack to more than the limit" in loaded.error


class Leaves:
    """Unpickling it ends the process, if one lets it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return sys.exit, (3,)


def test_a_pickle_that_exits_ends_its_own_job_alone():
    data = zlib.compress(pickle.dumps((NAME, None, (Leaves(),), {})))
    loaded = executor("pickle").load(claimed(data))
    assert isinstance(loaded, Outcome)
    assert "SystemExit: 3" in loaded.error


def test_signatures_are_checked_before_a_byte_is_decoded():
    one = signer(f"a:{'s' * 32}")
    assert one is not None
    bomb = b"\x80\x05c" + b"os\nabort\n(tR."
    loaded = executor("pickle", signing_keys=f"a:{'s' * 32}").load(
        claimed(bomb, signature=one.sign("j2", "app", bomb))
    )
    assert isinstance(loaded, Outcome)
    assert "InvalidSignature" in loaded.error
