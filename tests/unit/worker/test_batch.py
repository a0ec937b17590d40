import pytest

from reuse_queue.job import Claim
from reuse_worker.batch import MOST_AHEAD, Pace, claim_size

LONG_QUEUE = Claim(backlog=100_000, replicas=2, idle=0)


def size(
    *,
    free: int = 0,
    ahead: int = 0,
    concurrency: int = 1,
    seen: Claim = LONG_QUEUE,
    run_s: float | None = 0.00002,
    payload_bytes: float = 100.0,
    away: int = 0,
) -> int:
    return claim_size(
        free=free,
        ahead=ahead,
        concurrency=concurrency,
        seen=seen,
        pace=Pace(run_s, payload_bytes),
        away=away,
    )


def test_nothing_is_held_ahead_while_jobs_wait_for_what_they_may_have_enqueued():
    assert size(free=1) > 1
    assert size(free=1, away=1) == 1
    assert size(free=0, away=1) == 0


def test_without_a_backlog_only_free_slots_are_filled():
    assert size(free=3, concurrency=8, seen=Claim(backlog=0)) == 3
    assert size(free=0, concurrency=8, seen=Claim(backlog=0)) == 0


def test_before_the_first_job_has_ended_only_free_slots_are_filled():
    assert size(free=8, concurrency=8, run_s=None) == 8


def test_short_jobs_under_backlog_are_claimed_ahead_and_topped_up_when_half_are_used():
    assert size(free=1) == 1 + MOST_AHEAD
    assert size(ahead=MOST_AHEAD) == 0
    assert size(ahead=MOST_AHEAD // 2 + 1) == 0
    assert size(ahead=MOST_AHEAD // 2) == MOST_AHEAD // 2


@pytest.mark.parametrize(
    ("run_s", "concurrency", "ahead"),
    [(0.001, 1, 10), (0.001, 8, 80), (0.01, 1, 1), (0.03, 1, 0), (60.0, 8, 0)],
)
def test_a_few_milliseconds_of_work_are_held_ahead(run_s: float, concurrency: int, ahead: int):
    assert size(free=1, run_s=run_s, concurrency=concurrency) == 1 + ahead


def test_nothing_is_held_ahead_while_another_replica_is_idle():
    assert size(free=1, seen=Claim(backlog=100_000, replicas=2, idle=1)) == 1


def test_nothing_is_held_ahead_of_what_the_fleet_can_run_at_once():
    seen = Claim(backlog=16, replicas=2, idle=0)
    assert size(free=2, concurrency=8, seen=seen) == 2


def test_a_replica_takes_no_more_than_its_share_of_the_backlog_ahead():
    assert size(free=1, seen=Claim(backlog=30, replicas=3, idle=0)) == 1 + 10


def test_large_payloads_are_not_piled_up():
    assert size(free=1, payload_bytes=1024 * 1024) == 1 + 4


def test_a_claim_is_never_larger_than_a_script_takes():
    assert size(free=5000, concurrency=5000) == 1000


def test_the_pace_follows_the_jobs():
    pace = Pace()
    pace.ran(0.1, 1000)
    assert (pace.run_s, pace.payload_bytes) == (0.1, 1000)
    for _ in range(100):
        pace.ran(0.001, 10)
    assert pace.run_s == pytest.approx(0.001, rel=0.1)
    assert pace.payload_bytes == pytest.approx(10, rel=0.1)


def test_a_stall_ends_claiming_ahead_at_once():
    pace = Pace(0.00002)
    pace.stalled(0.1)
    assert claim_size(free=1, ahead=0, concurrency=1, seen=LONG_QUEUE, pace=pace) == 1
