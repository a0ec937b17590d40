"""What chaos takes for a trace of something that should have ended."""

import json
import time
from datetime import UTC, datetime

import pytest
import redis

from chaos.found import look


def test_mail_and_lists_of_children_may_stay_for_a_minute_and_not_for_ever(raw: redis.Redis):
    keys = ("reuse:mail:dead", "reuse:mail:kept", "reuse:{a}:children:j", "reuse:{a}:held")
    for key in keys:
        raw.rpush(key, "j")
    assert look(raw, ["a"]).strays == keys
    raw.expire("reuse:mail:dead", 60)
    raw.expire("reuse:mail:kept", 600)
    raw.expire("reuse:{a}:children:j", 60)
    assert look(raw, ["a"]).strays == ("reuse:mail:kept", "reuse:{a}:held")


def test_results_may_not_stay_without_their_job(raw: redis.Redis):
    for job in ("whole", "lost", "expiring"):
        raw.hset(f"rq:job:{job}", "status", "finished")
        raw.xadd(f"rq:results:{job}", {"type": "1"})
    raw.delete("rq:job:lost", "rq:job:expiring")
    raw.expire("rq:results:lost", 600)
    raw.expire("rq:results:expiring", 1)
    assert look(raw, ["a"]).strays == ("rq:results:lost",)


def test_each_loss_is_told_with_its_replica_and_its_moment(raw: redis.Redis):
    lines = [
        "replica a-host-1 on host host at 2026-11-28T10:00:00.250000Z: killed by SIGKILL",
        "replica a-host-2 at 2026-11-28T10:00:10.000000Z: lease ran out",
    ]
    raw.hset("rq:job:j", mapping={"reuse_losses": 2, "reuse_deaths": json.dumps(lines)})
    first, second = look(raw, ["a"]).jobs["j"].deaths
    assert (first.replica, second.replica) == ("a-host-1", "a-host-2")
    assert second.at - first.at == pytest.approx(9.75, abs=0.5)
    ten = datetime(2026, 11, 28, 10, tzinfo=UTC).timestamp()
    assert time.monotonic() - first.at == pytest.approx(time.time() - ten, abs=1)


def test_of_losses_that_nobody_can_read_nothing_is_told(raw: redis.Redis):
    for odd in ("[", "\xff", "7", '["replica a-host-1 at noon: killed"]'):
        raw.hset("rq:job:j", mapping={"reuse_losses": 1, "reuse_deaths": odd})
        assert look(raw, ["a"]).jobs["j"].deaths == ()
