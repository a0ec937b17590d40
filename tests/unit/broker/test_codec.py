import base64
import pickle
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rq.job import Job as RqJob
from rq.job import Retry

from reuse_queue.broker import codec, payloads, results
from reuse_queue.job import Job, JobStatus, Priority, ResultKind, Terms
from reuse_queue.serializer import SerializerName, serializer

NEVER = timedelta(seconds=7)


# -- texts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"2026-03-01T12:00:00.000001Z", datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)),
        (b"2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (b"2026-03-01T14:00:00+02:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (b"2026-03-01T12:00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (b"yesterday", None),
        (b"\xff", None),
        (b"", None),
        (None, None),
    ],
)
def test_a_time_is_read_in_utc(text: bytes | None, said: datetime | None):
    assert codec.moment(text) == said


def test_a_time_in_milliseconds_is_read_in_utc():
    assert codec.moment_ms(b"1500") == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert codec.moment_ms(b"") is None


def test_a_duration_is_whole_seconds_and_never_shorter_than_it_was():
    assert codec.seconds(timedelta(seconds=1.2)) == 2
    assert codec.seconds(timedelta(0)) == 0
    assert codec.seconds(None) == -1


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"30", timedelta(seconds=30)),
        (b"0", timedelta(0)),
        (b"-1", None),
        (b"", NEVER),
        (None, NEVER),
        (b"soon", NEVER),
    ],
)
def test_a_duration_is_read_as_rq_means_it(text: bytes | None, read: timedelta | None):
    assert codec.duration(text, NEVER) == read


def test_numbers_and_lists_that_cannot_be_read_are_none_at_all():
    assert [codec.number(text) for text in (b"3", b"-3", b"x", b"", None)] == [3, 0, 0, 0, 0]
    assert codec.texts(b'["a", 1]') == ("a", "1")
    assert [codec.texts(text) for text in (b'{"a": 1}', b"[", b"", None)] == [(), (), (), ()]


# -- a new job ------------------------------------------------------------------------------


def test_a_plain_job_says_nothing_of_what_it_does_not_use():
    assert codec.terms("app", Terms(description="f()")) == {
        "origin": "app",
        "description": "f()",
        "timeout": -1,
        "result_ttl": 500,
        "failure_ttl": 365 * 86400,
    }


def test_a_job_with_everything_says_it_in_rqs_words():
    new = Terms(
        description="",
        timeout=timedelta(seconds=30),
        result_ttl=None,
        failure_ttl=timedelta(0),
        retries=2,
        retry_delays=(timedelta(seconds=1), timedelta(seconds=2.5)),
        priority=Priority.HIGH,
        redeliver=False,
        meta=b"{}",
    )

    assert codec.terms("app", new).items() >= {
        ("timeout", 30),
        ("result_ttl", -1),
        ("failure_ttl", 0),
        ("retries_left", 2),
        ("retry_intervals", "[1, 2.5]"),
        ("enqueue_at_front", 1),
        ("enqueue_at_front_on_retry", 1),
        ("reuse_once", 1),
        ("meta", b"{}"),
    }


@given(
    delays=st.lists(st.integers(0, 9).map(lambda n: timedelta(seconds=n)), max_size=6),
    retries=st.integers(1, 6),
)
def test_rq_takes_the_wait_that_was_meant_for_each_retry(delays: list[timedelta], retries: int):
    job = RqJob(connection=object(), serializer="json")
    retry = Retry(max=retries, interval=codec.retry_intervals(retries, delays))
    job.retry_intervals = retry.intervals
    meant = [
        delays[min(n, len(delays) - 1)].total_seconds() if delays else 0 for n in range(retries)
    ]

    taken = []
    for left in range(retries, 0, -1):
        job.retries_left = left
        taken.append(job.get_retry_interval())

    assert taken == meant


# -- a job that is there --------------------------------------------------------------------


def fields(**given: bytes) -> list[bytes | None]:
    known = {"status": b"queued", "origin": b"app", "data": b"x", **given}
    return [known.get(name) for name in codec.JOB_FIELDS]


def test_a_job_is_read_with_all_that_is_known_of_it():
    found = codec.job(
        "a",
        fields(
            status=b"started",
            description="größer()".encode(),
            timeout=b"180",
            retries_left=b"1",
            reuse_losses=b"2",
            worker_name=b"r1",
            dependency_ids=b'["p"]',
            reuse_deaths=b'["killed"]',
        ),
    )

    assert found == Job(
        id="a",
        environment="app",
        status=JobStatus.STARTED,
        description="größer()",
        timeout=timedelta(seconds=180),
        retries_left=1,
        deliveries_lost=2,
        replica="r1",
        dependencies=("p",),
        deaths=("killed",),
    )


def test_what_is_left_of_a_deleted_job_is_no_job():
    assert codec.job("a", [None] * len(codec.JOB_FIELDS)) is None
    remains = [b"x" if name == "status" else None for name in codec.JOB_FIELDS]
    assert codec.job("a", remains) is None


def test_a_status_that_is_not_known_yet_does_not_make_a_job_unreadable():
    found = codec.job("a", fields(status=b"teleported"))
    assert found is not None
    assert found.status is JobStatus.CREATED
    assert codec.status(None) is None


# -- which function a payload calls ---------------------------------------------------------


class Trap:
    """An argument that does harm as soon as it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('loaded')",)


@pytest.mark.parametrize("name", ["json", "pickle"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_function_is_named_whatever_serializer_wrote_it(name: SerializerName, packed: bool):
    data = serializer(name).pack("app.classify", (1, "x" * 100_000), {})
    assert payloads.task_name(data if packed else zlib.decompress(data)) == "app.classify"


def test_no_pickle_is_loaded_to_name_its_function():
    data = pickle.dumps(("app.classify", None, (Trap(),), {}), protocol=pickle.HIGHEST_PROTOCOL)
    assert payloads.task_name(zlib.compress(data)) == "app.classify"


@given(st.binary(max_size=200))
def test_rubbish_names_a_function_or_none_but_raises_nothing(data: bytes):
    assert isinstance(payloads.task_name(data), str)
    assert isinstance(payloads.task_name(zlib.compress(data)), str)


@pytest.mark.parametrize("data", [b"", b"[", b"[1]", b"{}", pickle.dumps(1), b"\x80\x05"])
def test_a_payload_that_calls_nothing_names_nothing(data: bytes):
    assert payloads.task_name(data) == ""


# -- results --------------------------------------------------------------------------------


def test_a_record_of_success_holds_the_serialized_value():
    words = [b"type", b"1", b"worker_name", b"r1", b"return_value", base64.b64encode(b"42")]

    record = results.result_record(b"1500-0", words)

    assert (record.kind, record.value) == (ResultKind.SUCCESSFUL, b"42")
    assert (record.error, record.replica) == ("", "r1")
    assert record.created_at == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)


def test_a_record_of_none_holds_no_value():
    assert results.result_record(b"1-0", [b"type", b"1"]).value is None


def test_a_record_of_failure_holds_the_traceback():
    packed = base64.b64encode(zlib.compress("Fehler: größer".encode()))

    record = results.result_record(b"1-0", [b"type", b"2", b"exc_string", packed])

    assert (record.kind, record.error) == (ResultKind.FAILED, "Fehler: größer")


@pytest.mark.parametrize("packed", [b"!", base64.b64encode(b"not zlib")])
def test_a_traceback_that_cannot_be_read_is_said_to_be_so(packed: bytes):
    assert results.result_record(b"1-0", [b"type", b"2", b"exc_string", packed]).error == (
        "the traceback that was recorded cannot be read"
    )
