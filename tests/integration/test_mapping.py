"""map and amap, on a real Redis; the replica is played by a thread."""

import asyncio
import gc
import itertools
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing

import pytest
import redis

from reuse_queue import (
    InvalidArguments,
    JobCanceled,
    JobHandle,
    ResultTimeout,
    TaskEnvironment,
    TaskFailed,
)
from reuse_queue.broker.connection import Connection
from reuse_queue.job import ClaimedJob, Outcome
from support.eventually import eventually
from support.played import Play, played
from support.site import ENV, Site, canceled, failed, finished

env = TaskEnvironment(ENV)


@env.task
async def double(number: int, plus: int = 0) -> int:
    return 2 * number + plus


@pytest.fixture
def site(connection: Connection, raw: redis.Redis) -> Iterator[Site]:
    env.bind(connection)
    made = Site(connection, raw)
    made.replica("r1")
    yield made
    env._redis = None


def run(job: ClaimedJob) -> Outcome:
    """Run it; it fails for 13."""
    _, (number,), more = env.serializer.unpack(job.data)
    if number == 13:
        return failed(job, "Traceback …\nValueError: 13 is unlucky")
    return finished(job, str(2 * number + more.get("plus", 0)).encode())


def backwards(jobs: Sequence[ClaimedJob]) -> list[Outcome]:
    return [run(job) for job in reversed(jobs)]


def replica(site: Site, play: Play = backwards) -> AbstractContextManager[None]:
    return played(site, play)


class Inputs:
    """Numbers without an end, which know how far they were read."""

    def __init__(self) -> None:
        self.read = 0

    def __iter__(self) -> Iterator[int]:
        for number in itertools.count():
            self.read += 1
            yield number + 100


def test_results_come_in_order_and_inputs_are_read_only_as_they_are_needed(site: Site):
    inputs = Inputs()
    with replica(site):
        results = double.map(inputs, max_in_flight=8)
        assert inputs.read == 0
        for taken, result in enumerate(itertools.islice(results, 300)):
            assert result == 2 * (taken + 100)
            assert inputs.read - taken <= 8
        results.close()


async def test_the_twin_does_the_same(site: Site):
    inputs, taken = Inputs(), 0
    with replica(site):
        async with aclosing(aiter(double.amap(inputs, max_in_flight=8))) as results:
            async for result in results:
                assert result == 2 * (taken + 100)
                assert inputs.read - taken <= 8
                taken += 1
                if taken == 300:
                    break
        assert await double.amap([1, double.call(2, plus=1)]) == [2, 5]
        assert await double.amap([]) == []
    await env.connection.aclose()


def all_but_the_first(jobs: Sequence[ClaimedJob]) -> list[Outcome]:
    return [each for each in map(run, jobs) if each.value != b"28"]


def test_results_are_had_as_they_come_where_that_is_asked_for(site: Site):
    with replica(site, all_but_the_first):
        results = double.map(range(14, 64), max_in_flight=8, as_completed=True)
        assert {next(results) for _ in range(49)} == {2 * n for n in range(15, 64)}
        results.close()
    assert site.raw.scard(site.keys.cancels(ENV, "r1")) == 1


async def test_the_twin_has_them_as_they_come_too(site: Site):
    with replica(site, all_but_the_first):
        results = aiter(double.amap(range(14, 64), max_in_flight=8, as_completed=True))
        found = {await anext(results) for _ in range(49)}
        assert found == {2 * n for n in range(15, 64)}
        await results.aclose()
    assert site.raw.scard(site.keys.cancels(ENV, "r1")) == 1
    await env.connection.aclose()


async def both_kinds(inputs: Inputs, kind: str, *, as_completed: bool) -> AsyncGenerator[int, None]:
    if kind == "map":
        for result in double.map(inputs, max_in_flight=8, as_completed=as_completed):
            yield result
    else:
        async for result in double.amap(inputs, max_in_flight=8, as_completed=as_completed):
            yield result


def handles_alive() -> int:
    return sum(isinstance(each, JobHandle) for each in gc.get_objects())


@pytest.mark.parametrize("kind", ["map", "amap"])
@pytest.mark.parametrize("as_completed", [False, True])
async def test_a_long_map_keeps_nothing_of_what_has_been_taken(
    site: Site, kind: str, as_completed: bool
):
    inputs, seen = Inputs(), set[int]()
    gc.collect()
    before = handles_alive()
    with replica(site):
        async with aclosing(both_kinds(inputs, kind, as_completed=as_completed)) as results:
            async for result in results:
                seen.add(result)
                assert inputs.read - len(seen) < 8
                if len(seen) % 100 == 0:
                    # In flight, and the batch that was sent last.
                    assert handles_alive() - before <= 2 * 8
                if len(seen) == 500:
                    break
    await env.connection.aclose()


def test_a_failure_ends_a_map_and_cancels_what_is_in_flight(site: Site):
    with replica(site, lambda jobs: [each for each in map(run, jobs) if each.value != b"28"]):
        results = double.map(range(12, 20), max_in_flight=8)
        assert next(results) == 24
        with pytest.raises(TaskFailed, match="ValueError: 13 is unlucky") as failure:
            next(results)
        assert "Traceback" in failure.value.traceback
        assert site.status(failure.value.job_id) == "failed"
        # 14 runs still, and is told to stop.
        assert site.raw.scard(site.keys.cancels(ENV, "r1")) == 1
    assert next(results, None) is None


async def test_failures_come_in_the_place_of_results_where_that_is_asked_for(site: Site):
    with replica(site):
        one: list[object] = list(double.map(range(12, 15), return_exceptions=True))
        other: list[object] = [*await double.amap(range(12, 15), return_exceptions=True)]
        for results in (one, other):
            assert (results[0], results[2]) == (24, 28)
            assert isinstance(results[1], TaskFailed)
    await env.connection.aclose()


async def test_a_map_that_takes_too_long_is_given_up_with_its_jobs(site: Site):
    with pytest.raises(ResultTimeout, match=r"not all come within 0\.05 s"):
        list(double.map(range(5), timeout=0.05))
    with pytest.raises(ResultTimeout):
        await double.amap(range(5), timeout=0.05)
    assert len(site.registry("canceled")) == 10
    await env.connection.aclose()


async def test_whoever_is_canceled_while_it_maps_cancels_the_jobs(site: Site):
    mapping = asyncio.ensure_future(double.amap(range(5))._all())
    await eventually(lambda: len(site.queue()) == 5)
    mapping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await mapping
    assert len(site.registry("canceled")) == 5
    await env.connection.aclose()


def test_a_job_that_is_canceled_by_others_is_an_error(site: Site):
    results = double.map([1])
    everything = replica(site, lambda jobs: [canceled(job) for job in jobs])
    with everything, pytest.raises(JobCanceled):
        next(results)


def test_progress_is_shown_on_stderr(site: Site, capsys: pytest.CaptureFixture[str]):
    with replica(site):
        assert list(double.map(range(3), progress=True)) == [0, 2, 4]
        known = capsys.readouterr()
        assert list(double.map((n for n in range(3)), progress=True)) == [0, 2, 4]
        unknown = capsys.readouterr()
    assert "100%" in known.err
    assert "3/3" in known.err
    assert "3/?" in unknown.err
    assert known.out == unknown.out == ""


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "8"])
def test_so_many_in_flight_must_be_a_number_of_jobs(most: object):
    with pytest.raises(ValueError, match="max_in_flight must be a whole number over 0"):
        double.map([], max_in_flight=most)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="max_in_flight"):
        double.amap([], max_in_flight=most)  # type: ignore[call-overload]


@pytest.mark.parametrize("twin", [False, True])
def test_an_input_that_does_not_fit_is_named_by_its_place_among_all(site: Site, twin: bool):
    inputs = [*range(14, 264), "x"]

    async def all_of_them() -> object:
        found = await double.amap(inputs)
        await env.connection.aclose()
        return found

    with replica(site), pytest.raises(InvalidArguments) as caught:
        asyncio.run(all_of_them()) if twin else list(double.map(inputs))
    (note,) = caught.value.__notes__
    assert note == "at call 250; 250 jobs of earlier batches have been written"


async def test_results_are_taken_once(site: Site):
    with replica(site):
        results = double.amap([1, 2])
        assert [each async for each in results] == [2, 4]
        with pytest.raises(RuntimeError, match=r"call amap anew, or keep them in a list"):
            await results
        with pytest.raises(RuntimeError, match="are being taken, or have been"):
            aiter(results)
    await env.connection.aclose()


def test_inputs_that_come_asynchronously_are_to_be_collected_first():
    async def numbers() -> AsyncGenerator[int, None]:
        yield 1

    for wrong in (double.map, double.amap):
        with pytest.raises(
            TypeError, match=r"not an async_generator: give it a list, \[each async"
        ):
            wrong(numbers())  # type: ignore[call-overload]
