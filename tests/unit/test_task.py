import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from reuse_queue import InvalidArguments, JobHandle, PayloadTooLarge, Priority
from reuse_queue.environment import TaskEnvironment, stand_ins
from reuse_queue.job import NewJob
from reuse_queue.settings import Settings
from support.sample import Label, add, anything, classify, env, keep


class Recorder:
    """A link that only keeps what is written, batch by batch."""

    settings = Settings(max_payload=10_000)
    jobs: Any = None

    def __init__(self) -> None:
        self.batches: list[list[NewJob]] = []

    def write(self, environment: TaskEnvironment, jobs: Sequence[NewJob]) -> Any:
        yield from ()
        assert environment in (env, add.environment, keep.environment)
        self.batches.append(list(jobs))

    def run(self, step: Any) -> Any:
        with pytest.raises(StopIteration) as stop:
            next(step)
        return stop.value.value

    async def arun(self, step: Any) -> Any:
        return self.run(step)

    @property
    def written(self) -> list[NewJob]:
        return [job for batch in self.batches for job in batch]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    stand_in: Any = (lambda name: True, made)
    stand_ins.append(stand_in)
    yield made
    stand_ins.remove(stand_in)


def arguments(job: NewJob) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return env.serializer.unpack(job.data)[1:]


def test_options_go_with_the_job(recorder: Recorder):
    task = classify.override(
        retries=3,
        backoff=5,
        timeout=7,
        result_ttl=None,
        failure_ttl=60,
        priority="high",
        delay=9,
        redeliver=False,
    )
    handle = task.enqueue("a.png")
    (job,) = recorder.written
    assert job.id == handle.id
    assert job.terms.description == "support.sample.classify"
    assert (job.terms.retries, job.terms.retry_delays) == (3, (timedelta(seconds=5),))
    assert (job.terms.timeout, job.terms.delay) == (timedelta(seconds=7), timedelta(seconds=9))
    assert (job.terms.result_ttl, job.terms.failure_ttl) == (None, timedelta(minutes=1))
    assert (job.terms.priority, job.terms.redeliver) == (Priority.HIGH, False)


def test_an_override_changes_only_what_it_is_given_and_only_its_own_calls(recorder: Recorder):
    changed = classify.override(retries=0)
    changed.enqueue("a.png")
    classify.enqueue("a.png")
    assert [job.terms.retries for job in recorder.written] == [0, 2]
    assert [job.terms.timeout for job in recorder.written] == [timedelta(seconds=30)] * 2
    assert changed.override(timeout=None).options.retries == 0
    assert env.lookup(classify.name) is classify


def test_the_decorators_options_hold_for_every_call(recorder: Recorder):
    keep.enqueue(1)
    assert recorder.written[0].terms.redeliver is False


async def test_coroutines_enqueue_the_same_jobs(recorder: Recorder):
    handle = await classify.aenqueue("a.png", top=2)
    handles = await classify.aenqueue_many([("b.png",), classify.call("c.png", top=3)])
    assert [job.id for job in recorder.written] == [handle.id, *(each.id for each in handles)]
    assert [arguments(job) for job in recorder.written] == [
        (("a.png",), {"top": 2}),
        (("b.png",), {}),
        (("c.png",), {"top": 3}),
    ]


def test_every_job_has_a_uuid_of_its_own_as_in_rq(recorder: Recorder):
    handles = add.enqueue_many([(1,)] * 10)
    assert len({handle.id for handle in handles}) == 10
    assert all(str(uuid.UUID(handle.id, version=4)) == handle.id for handle in handles)


def test_a_generator_is_read_as_it_is_written_a_thousand_calls_at_a_time(recorder: Recorder):
    ahead = []

    def calls() -> Iterator[tuple[int]]:
        for number in range(2500):
            ahead.append(number + 1 - len(recorder.written))
            yield (number,)

    handles = add.enqueue_many(calls())
    assert [len(batch) for batch in recorder.batches] == [1000, 1000, 500]
    assert max(ahead) == 1000
    assert [handle.id for handle in handles] == [job.id for job in recorder.written]
    assert arguments(recorder.written[2499]) == ((2499,), {})


def test_no_calls_write_nothing(recorder: Recorder):
    assert add.enqueue_many([]) == []
    assert recorder.batches == []


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (("x",), "parameter 'a': Expected `int`, got `str`"),
        ((), "missing a required argument: 'a'"),
        ("x", r"a call is a tuple of arguments or add\.call\(…\), not a str: write \(value,\)"),
        ([1], "not a list"),
    ],
)
def test_a_bad_call_among_many_keeps_its_whole_batch_from_being_written(
    recorder: Recorder, bad: Any, says: str
):
    with pytest.raises(InvalidArguments, match=says) as caught:
        add.enqueue_many([*[(1,)] * 1200, bad, (2,)])
    assert caught.value.__notes__ == [
        "at call 1200; 1000 jobs of earlier batches have been written"
    ]
    assert len(recorder.written) == 1000


def test_another_tasks_call_is_none_of_this_one(recorder: Recorder):
    other: Any = keep.call(1)
    with pytest.raises(
        InvalidArguments, match=r"sample\.add: this is a call of support\.sample\.keep"
    ):
        add.enqueue_many([(1,), other])
    with pytest.raises(InvalidArguments, match=r"write add\.call\(…\)"):
        next(add.map([other]))
    assert recorder.batches == []
    add.enqueue_many([add.override(retries=1).call(1, b=2)])
    assert arguments(recorder.written[0]) == ((1,), {"b": 2})


def test_nothing_is_written_of_what_is_too_large(recorder: Recorder):
    with pytest.raises(PayloadTooLarge, match=r"the arguments of support\.sample\.classify: "):
        classify.enqueue("a" * 10_001)
    assert recorder.written == []


def test_arguments_named_like_our_own_are_the_tasks(recorder: Recorder):
    anything.enqueue(1, timeout=2.0, self=3.0, args=4.0)
    assert arguments(recorder.written[0]) == ((1,), {"timeout": 2.0, "self": 3.0, "args": 4.0})


def test_a_job_is_found_again_by_its_id(recorder: Recorder):
    handle = classify.enqueue("a.png")
    again: JobHandle[Label] = classify.handle(handle.id)
    assert again == handle
    assert again == env.handle(handle.id)
    assert again != add.handle(handle.id)
    assert hash(again) == hash(handle)
    assert repr(again) == f"<JobHandle {handle.id} of support.sample.classify>"
