import io
import json
from datetime import timedelta

import pytest
from rich.console import Console

from reuse_queue.cli import shapes, words
from reuse_queue.cli.children import last_words
from reuse_queue.cli.names import meant, not_there
from reuse_queue.cli.result import result_shape, result_text
from reuse_queue.cli.tables import Column, drawn_table, plain_table
from reuse_queue.facts import Death
from reuse_queue.job import JobStatus, ResultKind, ResultRecord
from support.made_up import NOW, ago, decision, host, record, replica, snapshot


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.34, "340ms"),
        (4.2, "4.2s"),
        (9, "9s"),
        (59, "59s"),
        (60, "1m"),
        (725, "12m 5s"),
        (12000, "3h 20m"),
        (90000, "1d 1h"),
        (-3, "0ms"),
    ],
)
def test_durations_read_in_their_two_biggest_units(seconds: float, text: str):
    assert words.duration(timedelta(seconds=seconds)) == text


def test_counts_and_rates_stay_short():
    assert [words.count(n) for n in (0, 9999, 10_000, 1_234_567, 2e9)] == [
        *("0", "9,999", "10.0k", "1.2M", "2.0G")
    ]
    assert [words.rate(n) for n in (0, 0.42, 12.3, 3120)] == ["0", "0.4", "12", "3,120"]


def test_the_word_for_a_state_is_the_one_that_matters_most():
    assert words.standing(record(paused=True, drained=True, degraded="x")) == "degraded"
    assert words.standing(record(paused=True, drained=True)) == "drained"
    assert words.standing(record(paused=True, suspended=True)) == "paused"
    assert words.standing(record(suspended=True)) == "suspended"
    assert words.standing(record()) == "active"


def test_names_that_begin_alike_come_before_those_that_look_alike():
    known = ["classify", "classify-gpu", "clarify", "mail"]
    assert meant("class", known) == ["classify", "classify-gpu"]
    assert meant("clasify", known)[0] == "classify"
    assert not_there("environment", "xyz", []) == "there is no environment 'xyz'"
    assert not_there("environment", "xyz", ["a", "b"]).endswith("; there is 'a' and 'b'")
    assert not_there("environment", "mial", known).endswith("Did you mean 'mail'?")


def test_piped_tables_are_aligned_columns_with_nothing_cut():
    columns = (Column("name"), Column("jobs", right=True), Column("why", folds=True))
    assert plain_table(columns, [["a" * 90, "1,204", "because"], ["b", "3", ""]]) == [
        "NAME" + " " * 88 + " JOBS  WHY",
        "a" * 90 + "  1,204  because",
        "b" + " " * 91 + "    3",
    ]


def test_a_narrow_terminal_cuts_only_what_may_be_cut_and_leaves_empty_columns_out():
    columns = (Column("job"), Column("task", cuts=True), Column("lost"), Column("age"))
    console = Console(width=40, file=io.StringIO())
    console.print(drawn_table(columns, [["j" * 24, "app.with_a_long_name", "", "12s"]]))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "j" * 24 in text
    assert "12s" in text
    assert "app.…" in text
    assert "LOST" not in text


def test_an_environments_shape_is_json_with_iso_times_and_seconds():
    death = Death(
        replica="r0",
        host="h",
        version="v1",
        at=ago(5),
        cause="killed by SIGKILL",
        was_ready=True,
        age=timedelta(seconds=2.5),
    )
    seen = snapshot(
        record(override=(1, 2)), replicas=(replica(idle_since=NOW),), deaths=(death,), backlog=4
    )
    shape = json.loads(json.dumps(shapes.environment_whole(seen, [host()], {JobStatus.QUEUED: 4})))
    assert shape["policy"] == {
        "min": 0,
        "max": 3,
        "concurrency": 8,
        "idle_ttl": 120.0,
        "scaledown_ttl": 30.0,
    }
    assert shape["bounds"] == shape["override"] == {"min": 1, "max": 2}
    assert shape["hosts"] == [{"name": "h", "version": "v1", "broken": ""}]
    assert shape["jobs"] == {"queued": 4}
    assert shape["replicas"][0]["idle_since"] == "2026-03-01T12:00:00.000+00:00"
    assert shape["deaths"][0]["age"] == 2.5


def test_a_decisions_shape_names_its_actions():
    shape = json.loads(json.dumps(shapes.decision(decision(starts=1))))
    assert shape["actions"] == [
        {"kind": "start", "replica": "x", "host": "h", "version": "v1", "reason": None}
    ]
    assert shape["demand"] == 1204


def test_a_json_result_is_decoded_and_a_pickled_one_is_not():
    record = ResultRecord(kind=ResultKind.SUCCESSFUL, value=b'{"a": 1}', created_at=NOW)
    assert result_shape(record, "json")["result"] == {"value": {"a": 1}}
    assert result_shape(record, "pickle")["result"] == {"serializer": "pickle", "size": 8}
    assert result_text(record, "pickle") == [("result", "8 bytes of pickle, not decoded here")]
    odd = ResultRecord(kind=ResultKind.SUCCESSFUL, value=b"\x80\x04")
    assert result_shape(odd, "json")["result"] == {"serializer": "unknown", "size": 2}
    assert result_shape(None, "json")["result"] is None


def test_a_failure_shows_its_traceback():
    record = ResultRecord(kind=ResultKind.FAILED, error="Traceback …\nValueError: x\n")
    assert result_text(record, "json") == [("error", "Traceback …\nValueError: x")]
    assert result_shape(record, "json")["error"] == "Traceback …\nValueError: x\n"


def test_the_last_words_of_a_log_are_what_follows_its_last_event():
    events = "2026-11-28T07:12:50.9Z [info ] a\n"
    assert last_words(f"{events}Traceback\n  x\nKeyError: 1") == "Traceback\n  x\nKeyError: 1"
    assert last_words('{"event": "a"}\nno') == "no"
    assert last_words(events) == events
