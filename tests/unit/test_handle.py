import asyncio
import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from reuse_queue import (
    JobCanceled,
    JobHandle,
    JobNotFound,
    JobStatus,
    NotDeserializable,
    ResultTimeout,
    TaskFailed,
    agather,
    gather,
)
from reuse_queue.handle import Jobs
from reuse_queue.job import Ending, Job, ResultKind, ResultRecord
from reuse_queue.testing import inline
from support import sample
from support.sample import Label, classify

OK = ResultRecord(kind=ResultKind.SUCCESSFUL, value=b'{"name": "cat"}')
FAILURE = ResultRecord(kind=ResultKind.FAILED, error="ValueError: no")


class Told:
    """An environment that is told what becomes of its job; the last is what a wait brings."""

    name = "sample"
    read_result = staticmethod(sample.env.read_result)

    def __init__(self, *endings: Ending) -> None:
        self.endings = list(endings)
        self.waits: list[float | None] = []
        self.jobs: Jobs = self

    def result(self, job_id: str) -> Any:
        yield from ()
        assert job_id == "7f"
        return self.endings[0]

    def ending(self, job_id: str, timeout_s: float | None) -> Ending:
        assert job_id == "7f"
        self.waits.append(timeout_s)
        return self.endings[0 if timeout_s == 0 else -1]

    async def aending(self, job_id: str, timeout_s: float | None) -> Ending:
        await asyncio.sleep(0)
        return self.ending(job_id, timeout_s)

    def fetch(self, job_id: str) -> Any:
        yield from ()
        return Job(
            id=job_id, environment="sample", status=JobStatus.QUEUED, task="support.sample.classify"
        )

    def watch(self, told: Any) -> Any:
        raise NotImplementedError

    awatch = watch

    def cancel(self, job_ids: Sequence[str]) -> Any:
        yield from ()
        assert list(job_ids) == ["7f"]
        return [self.endings[0][0]]

    def run(self, step: Iterator[Any]) -> Any:
        with pytest.raises(StopIteration) as stop:
            next(step)
        return stop.value.value

    async def arun(self, step: Iterator[Any]) -> Any:
        await asyncio.sleep(0)
        return self.run(step)

    def handle(self, task: str = "support.sample.classify") -> JobHandle[Any]:
        return JobHandle(self, "7f", task)


def get(handle: JobHandle[Any]) -> Any:
    return handle.result(timeout=60)


def aget(handle: JobHandle[Any]) -> Any:
    return asyncio.run(handle.aresult(timeout=timedelta(minutes=1)))


def await_(handle: JobHandle[Any]) -> Any:
    async def wait() -> Any:
        return await handle

    return asyncio.run(wait())


both = pytest.mark.parametrize("get", [get, aget, await_])
Get = Callable[[JobHandle[Any]], Any]


@both
def test_a_result_is_typed_by_the_tasks_annotation(get: Get):
    told = Told((JobStatus.QUEUED, None), (JobStatus.STARTED, None), (JobStatus.FINISHED, OK))
    assert get(told.handle()) == Label("cat")
    assert len(told.waits) == 1


@both
def test_a_handle_made_of_an_id_alone_learns_the_task_from_the_job(get: Get):
    assert get(Told((JobStatus.FINISHED, OK)).handle("")) == Label("cat")


@both
def test_a_failure_is_raised_with_the_tasks_traceback(get: Get):
    with pytest.raises(TaskFailed, match="job 7f failed: ValueError: no"):
        get(Told((JobStatus.FAILED, FAILURE)).handle())


@both
@pytest.mark.parametrize("status", [JobStatus.CANCELED, JobStatus.STOPPED])
def test_a_canceled_job_says_so(status: JobStatus, get: Get):
    with pytest.raises(JobCanceled, match=f"job 7f was {status}"):
        get(Told((JobStatus.STARTED, None), (status, None)).handle())


@both
def test_a_job_that_is_not_there_says_why_that_may_be(get: Get):
    with pytest.raises(JobNotFound, match=r"no job 7f: it never existed.*result_ttl"):
        get(Told((None, None)).handle())


def test_a_result_that_was_not_kept_is_told_from_a_job_that_never_was():
    with pytest.raises(JobNotFound, match="finished, but its result is not kept"):
        get(Told((JobStatus.FINISHED, None)).handle())


def test_a_failure_without_a_record_is_a_failure_still():
    with pytest.raises(TaskFailed, match="no reason was recorded"):
        get(Told((JobStatus.FAILED, None)).handle())


def test_a_task_that_returned_none_has_none():
    record = ResultRecord(kind=ResultKind.SUCCESSFUL)
    assert get(Told((JobStatus.FINISHED, record)).handle()) is None


def test_a_result_of_a_task_that_is_not_known_here_comes_as_json_has_it():
    assert get(Told((JobStatus.FINISHED, OK)).handle("app.gone")) == {"name": "cat"}


def test_a_result_that_cannot_be_read_says_so():
    record = ResultRecord(kind=ResultKind.SUCCESSFUL, value=b"\x80")
    with pytest.raises(NotDeserializable):
        get(Told((JobStatus.FINISHED, record)).handle())


def test_a_timeout_of_zero_looks_once_and_waits_for_nothing():
    told = Told((JobStatus.QUEUED, None))
    with pytest.raises(ResultTimeout, match="job 7f is queued and did not end within 0 s; it goes"):
        told.handle().result(timeout=0)
    assert told.waits == [0]


def test_a_timeout_is_given_in_seconds_or_as_a_timedelta_or_not_at_all():
    told = Told((JobStatus.QUEUED, None), (JobStatus.FINISHED, OK))
    told.handle().result(timeout=0.5)
    told.handle().result(timeout=timedelta(minutes=1))
    told.handle().result()
    assert told.waits == [0.5, 60, None]


def test_a_timeout_that_never_ends_is_none():
    told = Told((JobStatus.QUEUED, None), (JobStatus.FINISHED, OK))
    for endless in (math.inf, 10**400, timedelta.max):
        told.handle().result(timeout=endless)
    assert told.waits == [None] * 3


@pytest.mark.parametrize("twin", [False, True])
@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        ("5", TypeError, "timeout must be a number of seconds, a timedelta or None, got '5'"),
        (True, TypeError, "got True"),
        (math.nan, ValueError, "timeout must not be negative or NaN, got nan"),
        (-0.5, ValueError, "got -0.5"),
        (timedelta(seconds=-1), ValueError, "negative"),
    ],
)
def test_a_timeout_that_is_none_is_refused_before_anything_is_asked_or_written(
    wrong: Any, kind: type[Exception], says: str, twin: bool
):
    told = Told((JobStatus.FINISHED, OK))
    handle = told.handle()
    with inline() as jobs, pytest.raises(kind, match=says):
        asyncio.run(handle.aresult(wrong)) if twin else handle.result(wrong)
    with inline() as jobs, pytest.raises(kind, match=says):
        asyncio.run(agather(handle, timeout=wrong)) if twin else gather(handle, timeout=wrong)
    with inline() as jobs, pytest.raises(kind, match=says):
        (classify.amap if twin else classify.map)(["a"], timeout=wrong)
    assert (told.waits, jobs) == ([], [])


def test_a_status_is_one_look():
    told = Told((JobStatus.STARTED, None))
    assert told.handle().status() is JobStatus.STARTED
    assert asyncio.run(told.handle().astatus()) is JobStatus.STARTED
    assert told.waits == []
    with pytest.raises(JobNotFound):
        Told((None, None)).handle().status()


def test_a_cancel_says_whether_there_was_something_to_cancel():
    assert Told((JobStatus.QUEUED, None)).handle().cancel() is True
    assert asyncio.run(Told((JobStatus.STARTED, None)).handle().acancel()) is True
    assert Told((JobStatus.FINISHED, None)).handle().cancel() is False
    with pytest.raises(JobNotFound):
        Told((None, None)).handle().cancel()


def test_all_that_is_known_of_the_job_can_be_had():
    told = Told((JobStatus.QUEUED, None))
    assert told.handle().job() == asyncio.run(told.handle().ajob())
    assert told.handle().job().task == "support.sample.classify"


def test_a_handle_can_be_pickled_and_knows_its_environment_and_task_again():
    handle = classify.handle("7f")
    back = pickle.loads(pickle.dumps(handle))
    assert back == handle
    assert back.environment == "sample"
    assert "classify" in repr(back)
