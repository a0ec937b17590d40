import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from reuse_queue.errors import RedisUnavailable
from reuse_queue.job import Outcome, Recorded, Verdict
from reuse_worker.recorder import Recorder
from reuse_worker.steps import Steps
from support.eventually import eventually


def outcome(number: int, size: int = 0) -> Outcome:
    return Outcome(
        job_id=f"j{number}", execution=f"e{number}", verdict=Verdict.FINISHED, value=b"x" * size
    )


class Server:
    """Records what it is given; a test may put something in its way."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.errors: list[Exception] = []
        self.refuses: set[str] = set()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def finish(self, outcomes: Sequence[Outcome]) -> list[Recorded]:
        self.batches.append([each.job_id for each in outcomes])
        await self.may_answer.wait()
        if self.errors:
            raise self.errors.pop()
        if self.refuses.intersection(self.batches[-1]):
            raise ValueError("no")
        return [Recorded.FINISHED] * len(outcomes)


@pytest.fixture
async def server():
    return Server()


@pytest.fixture
async def recorder(server: Server):
    made = Recorder(cast("Steps", server), lambda: server.batches.append(["felled"]))
    running = asyncio.ensure_future(made.run())
    yield made
    running.cancel()
    await asyncio.wait([running])


async def test_what_ends_during_a_flush_goes_into_the_next(server: Server, recorder: Recorder):
    server.may_answer.clear()
    recorder.add(outcome(0))
    await eventually(lambda: server.batches)
    for number in range(1, 5):
        recorder.add(outcome(number))
    assert recorder.held() == ["e0", "e1", "e2", "e3", "e4"]
    server.may_answer.set()
    await recorder.flushed()
    assert server.batches == [["j0"], ["j1", "j2", "j3", "j4"]]
    assert recorder.held() == []


async def test_a_batch_is_no_larger_than_a_script_takes(server: Server, recorder: Recorder):
    for number in range(2500):
        recorder.add(outcome(number))
    await recorder.flushed()
    assert [len(batch) for batch in server.batches] == [1000, 1000, 500]


async def test_a_batch_of_large_values_is_short(server: Server, recorder: Recorder):
    for number in range(3):
        recorder.add(outcome(number, size=5 * 1024 * 1024))
    await recorder.flushed()
    assert [len(batch) for batch in server.batches] == [1, 1, 1]


async def test_outcomes_are_tried_until_redis_is_back(server: Server, recorder: Recorder):
    server.errors = [RedisUnavailable(), RedisUnavailable()]
    recorder.add(outcome(0))
    await recorder.flushed()
    assert server.batches == [["j0"]] * 3


async def test_an_outcome_that_redis_refuses_holds_up_no_other(server: Server, recorder: Recorder):
    server.refuses = {"j0"}
    for number in range(4):
        recorder.add(outcome(number))
    await eventually(lambda: recorder.held() == ["e0"])
    server.refuses = set()
    await recorder.flushed()
