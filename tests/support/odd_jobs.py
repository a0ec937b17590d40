"""Hashes of jobs as no sane program writes them, for tests that nothing hangs on one."""

from __future__ import annotations

import json
import pickle
import zlib
from typing import Any

from hypothesis import strategies as st

TASK = "odd.task"
"""What `{TASK}` in a payload stands for."""
PAYLOADS = [
    b'["odd.task", null, [1], {}]',
    b'["odd.task", null, [], {"value": [[1]]}]',
    b'["odd.task", null, [1, 2, 3], {}]',
    b'["odd.task", "instance", [], {}]',
    b'["os.abort", null, [], {}]',
    b"[" * 3000,
    b'{"a":' * 1500,
    b"",
    b"\xff\xfe\x00",
    b"null",
    b'["odd.task", null, ["' + b"x" * 2000 + b'"], {}]',
    pickle.dumps(("odd.task", None, (1,), {})),
    zlib.compress(b" " * 1_000_000),
    zlib.compress(b'["odd.task", null, [1], {}]')[:-4],
]
NUMBERS = [
    *(b"0", b"1", b"-1", b"2", b"", b"nan", b"inf", b"-inf", b"1e300", b"0x10", b"1.5", b"soon"),
    *(b"9" * 17, b"9" * 330, b"-" + b"9" * 30, b"\xff", "٣".encode()),
]
LISTS = [
    b"",
    b"[]",
    b"[0]",
    b"[NaN]",
    b'["soon"]',
    b"{}",
    b"[1e999]",
    b"[[[[]]]]",
    b"[" * 1100,
    b"\xff",
]
TIMES = [b"", b"yesterday", b"0001-01-01T00:00:00Z", b"2026-01-01T00:00:00Z", b"\xff\xff"]
NAMES = [b"", b"os.abort", b"\xff", b"no such"]

number, listed, time, name = map(st.sampled_from, (NUMBERS, LISTS, TIMES, NAMES))
payload = st.one_of(
    st.sampled_from(PAYLOADS),
    st.sampled_from(PAYLOADS).map(zlib.compress),
    st.binary(max_size=30),
    st.lists(st.one_of(st.none(), st.text(max_size=5), st.integers(), st.lists(st.integers()))).map(
        lambda call: json.dumps(call).encode()
    ),
)
ids = st.one_of(
    st.text("abcdef0123456789-", min_size=1, max_size=12).map(str.encode),
    st.binary(min_size=1, max_size=12),
    st.sampled_from(
        [b"a:b", b"with space", b"\x1b[31mred", "ä✓".encode(), b"\xff\xfe", b"x" * 300]
    ),
)
optional = {
    "timeout": st.sampled_from([each for each in NUMBERS if each not in {b"1", b"2"}]),
    "result_ttl": number,
    "failure_ttl": number,
    "retries_left": st.sampled_from([b"0", b"1", b"2", b"nan", b"inf", b"1e300", b"-1", b"\xff"]),
    "retry_intervals": listed,
    "repeats_left": st.sampled_from([b"0", b"nan", b"inf", b"\xff"]),
    "repeat_intervals": listed,
    "reuse_losses": st.sampled_from([b"0", b"nan", b"-9e9", b"\xff", b"1"]),
    "reuse_deaths": listed,
    "reuse_once": number,
    "reuse_by": st.sampled_from([b",", b"9,9", b"," + b"9" * 330, b"\xff", b"x,y"]),
    "ttl": st.sampled_from([b"", b"-1", b"1.5", b"nan", b"inf", b"soon", b"\xff", b"600"]),
    "created_at": time,
    "enqueued_at": time,
    "started_at": time,
    "ended_at": time,
    "description": name,
    "worker_name": name,
    "dependency_ids": listed,
    "meta": name,
    "group_id": name,
    "success_callback_name": name,
    "failure_callback_name": name,
    "success_callback_timeout": number,
    "enqueue_at_front_on_retry": number,
    "number_of_retries": st.sampled_from([b"0", b"x"]),
    "unheard of": name,
}
jobs: st.SearchStrategy[dict[str, bytes]] = st.fixed_dictionaries(
    {"status": st.sampled_from([b"queued", b"queued", b"queued", b"created"]), "data": payload},
    optional={**optional, "origin": st.sampled_from([b"lab", b"", b"\xff"])},
)
"""What may stand under a job's key while its id is in a queue."""


def write(raw: Any, queue: str, found: dict[bytes, dict[str, bytes]], task: str) -> None:
    """Write jobs and push their ids; `task` is the name of a task of the queue's environment."""
    for job_id, fields in found.items():
        named = {key: value.replace(TASK.encode(), task.encode()) for key, value in fields.items()}
        raw.hset(b"rq:job:" + job_id, mapping=named)
        raw.rpush(f"rq:queue:{queue}", job_id)


def unended(raw: Any, found: dict[bytes, dict[str, bytes]]) -> dict[bytes, bytes]:
    """Return the jobs that have not come to an end, with their status.

    One that is gone was not to be kept; one that is scheduled is to be tried again, later.
    """
    ends = {b"finished", b"failed", b"canceled", b"stopped", b"scheduled", None}
    statuses = {job_id: raw.hget(b"rq:job:" + job_id, "status") for job_id in found}
    return {job_id: status for job_id, status in statuses.items() if status not in ends}
