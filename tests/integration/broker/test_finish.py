"""finish: every job gets exactly one end, from whoever holds its lease."""

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest
import redis

from reuse_queue.broker.connection import Connection
from reuse_queue.job import Recorded
from reuse_queue.settings import Settings
from support.site import ENV, Site, canceled, failed, finished


def test_a_finished_job_leaves_its_result_and_nothing_of_its_execution(site: Site) -> None:
    job = site.running("a")

    assert site.finish(finished(job, b'"x"', took=timedelta(seconds=2))) == [Recorded.FINISHED]

    record = site.job("a")
    assert record["status"] == "finished"
    assert record["started_at"] < record["ended_at"] == record["last_heartbeat"]
    (result,) = site.results("a")
    took = float(result["execution_ended_at"]) - float(result["execution_started_at"])
    assert took == pytest.approx(2)
    assert (result["type"], result["worker_name"], result["execution_id"]) == (
        *("1", "r1"),
        job.execution,
    )
    assert base64.b64decode(result["return_value"]) == b'"x"'
    assert site.traces() == set()
    assert [*site.registry("finished")] == ["a"]


def test_a_task_that_returns_nothing_records_no_value(site: Site) -> None:
    site.finish(finished(site.running("a"), None))

    assert "return_value" not in site.results("a")[0]


def test_an_end_is_recorded_once_however_often_it_is_reported(site: Site) -> None:
    job = site.running("a")
    site.finish(finished(job))
    before = site.job("a"), site.results("a")

    again = site.finish(failed(job), finished(job), canceled(job))

    assert again == [Recorded.LOST] * 3
    assert (site.job("a"), site.results("a")) == before
    assert site.registry("failed") == site.registry("canceled") == {}


def test_a_reclaimed_job_is_not_finished_by_its_first_owner(site: Site) -> None:
    first = site.running("a")
    site.raw.zadd(site.keys.replicas(ENV), {"r1": 1})
    site.connection.run(site.leases.reclaim())
    site.replica("r2")
    (second,) = site.claim("r2")

    assert site.finish(finished(first, b"1")) == [Recorded.LOST]
    assert site.raw.exists(site.keys.executions("a")), "the second execution's record stays"
    assert site.finish(finished(second, b"2"), name="r2") == [Recorded.FINISHED]

    (result,) = site.results("a")
    assert result["worker_name"] == "r2"
    assert site.raw.exists(site.keys.replica(ENV, "r1"), site.keys.worker("r1")) == 0


@pytest.mark.parametrize("ttl", [timedelta(0), None, timedelta(seconds=7)])
def test_result_ttl_says_how_long_job_and_result_are_kept(
    site: Site, ttl: timedelta | None
) -> None:
    job = site.running("a")

    site.finish(finished(job, result_ttl=ttl))

    lives = {site.raw.ttl(site.keys.job("a")), site.raw.ttl(site.keys.results("a"))}
    if ttl is None:
        assert lives == {-1}
        assert site.registry("finished") == {"a": float("inf")}
    elif ttl:
        assert lives <= {6, 7}
        assert site.registry("finished")["a"] == pytest.approx(site.now_ms() / 1000 + 7, abs=2)
    else:
        assert lives == {-2}
        assert site.registry("finished") == {}
        assert site.traces() == set()


def test_a_result_kept_for_ever_outlives_an_earlier_failure(site: Site) -> None:
    site.finish(failed(site.running("a", failure_ttl=40)))

    site.finish(finished(site.running("a"), result_ttl=None))

    assert [each["type"] for each in site.results("a")] == ["2", "1"]
    assert site.raw.ttl(site.keys.results("a")) == -1


def test_a_failure_without_retries_is_final_and_its_record_expires(site: Site) -> None:
    job = site.running("a", failure_ttl=40)

    assert site.finish(failed(job)) == [Recorded.FAILED]

    assert site.status("a") == "failed"
    assert site.error("a").endswith("ValueError: no")
    assert site.results("a")[0]["type"] == "2"
    assert {site.raw.ttl(site.keys.job("a")), site.raw.ttl(site.keys.results("a"))} <= {39, 40}
    assert [*site.registry("failed")] == ["a"]
    assert site.traces() == set()


def test_a_failure_with_failure_ttl_0_leaves_nothing(site: Site) -> None:
    site.finish(failed(site.running("a", failure_ttl=0)))

    assert site.raw.exists(site.keys.job("a"), site.keys.results("a")) == 0
    assert site.registry("failed") == {}


def test_a_retry_without_delay_goes_back_to_the_queue_at_once(site: Site) -> None:
    job = site.running("a", retries_left=2)
    site.enqueue("b")

    assert site.finish(failed(job)) == [Recorded.RETRIED]

    assert (site.status("a"), site.job("a")["retries_left"]) == ("queued", "1")
    assert site.queue() == ["b", "a"]
    assert site.results("a") == []
    assert site.registry("failed") == {}
    assert site.traces() == set()


def test_a_retry_waits_for_the_interval_that_belongs_to_it(site: Site) -> None:
    delays = []
    job = site.running("a", retries_left=3, retry_intervals=json.dumps([10, 20.5]))
    for _ in range(3):
        assert site.finish(failed(job)) == [Recorded.RETRIED]
        assert site.status("a") == "scheduled"
        delays.append(site.registry("scheduled")["a"] - site.now_ms() / 1000)
        site.raw.zrem(site.keys.registry("scheduled", ENV), "a")
        job = site.running("a")

    assert delays == [pytest.approx(delay, abs=1) for delay in (10, 10, 20.5)]
    assert site.finish(failed(job)) == [Recorded.FAILED]


def test_a_failure_that_is_final_is_not_retried(site: Site) -> None:
    job = site.running("a", retries_left=2)

    assert site.finish(failed(job, retry=False)) == [Recorded.FAILED]
    assert site.queue() == []


def test_a_canceled_run_ends_canceled_without_a_result(site: Site) -> None:
    job = site.running("a", retries_left=2)
    site.raw.sadd(site.keys.cancels(ENV, "r1"), job.execution)

    assert site.finish(canceled(job)) == [Recorded.CANCELED]

    assert site.status("a") == "canceled"
    assert [*site.registry("canceled")] == ["a"]
    assert site.results("a") == []
    assert site.raw.exists(site.keys.cancels(ENV, "r1")) == 0
    assert site.traces() == set()


def test_a_job_that_finished_before_its_cancel_order_took_effect_is_finished(site: Site) -> None:
    job = site.running("a")
    site.raw.sadd(site.keys.cancels(ENV, "r1"), job.execution)

    assert site.finish(finished(job)) == [Recorded.FINISHED]

    assert site.status("a") == "finished"
    assert site.registry("canceled") == {}
    assert site.raw.exists(site.keys.cancels(ENV, "r1")) == 0


def test_a_failure_under_a_cancel_order_is_not_retried(site: Site) -> None:
    job = site.running("a", retries_left=2)
    site.raw.sadd(site.keys.cancels(ENV, "r1"), job.execution)

    assert site.finish(failed(job)) == [Recorded.CANCELED]
    assert (site.status("a"), site.queue()) == ("canceled", [])


def test_a_job_that_somebody_else_set_canceled_stays_canceled(site: Site) -> None:
    job = site.running("a")
    site.raw.hset(site.keys.job("a"), "status", "canceled")

    assert site.finish(finished(job)) == [Recorded.CANCELED]

    assert site.status("a") == "canceled"
    assert site.results("a") == []
    assert site.registry("finished") == {}
    assert site.traces() == set()


def test_a_job_deleted_while_it_ran_does_not_come_back(site: Site) -> None:
    job = site.running("a")
    site.raw.delete(site.keys.job("a"))

    assert site.finish(finished(job)) == [Recorded.LOST]

    assert site.raw.exists(site.keys.job("a"), site.keys.results("a")) == 0
    assert site.traces() == set()


def test_broken_records_of_one_job_do_not_cost_others_their_results(site: Site) -> None:
    site.enqueue("a", "b", "c", "d")
    jobs = site.claim()
    for broken in (site.keys.job("a"), site.keys.results("b")):
        site.raw.delete(broken)
        site.raw.set(broken, "garbage")
    site.raw.hset(site.keys.job("c"), "failure_ttl", 10**17)

    recorded = site.finish(*[failed(j) if j.id == "c" else finished(j) for j in jobs])

    assert recorded == [Recorded.LOST, Recorded.FINISHED, Recorded.FAILED, Recorded.FINISHED]
    assert (site.status("c"), site.status("d")) == ("failed", "finished")
    assert len(site.results("b")) == 1
    assert site.traces() == set()


def test_a_batch_counts_once_for_worker_replica_and_environment(site: Site) -> None:
    site.enqueue("a", "b", "c", "d", "e")
    site.raw.hset(site.keys.job("d"), "retries_left", "1")
    a, b, c, d, _ = site.claim()
    half = timedelta(seconds=0.5)

    recorded = site.finish(finished(a, took=half), finished(b, took=half), failed(c), failed(d))

    assert [each.value for each in recorded] == ["finished", "finished", "failed", "retried"]
    worker = site.raw.hgetall(site.keys.worker("r1"))
    assert (worker[b"successful_job_count"], worker[b"failed_job_count"]) == (b"2", b"2")
    assert float(worker[b"total_working_time"]) == pytest.approx(1.0)
    assert worker[b"state"] == b"busy", "it still holds one"
    assert site.raw.hget(site.keys.replica(ENV, "r1"), "jobs_done") == b"4"
    counts = site.raw.hmget(site.keys.environment(ENV), "finished", "failed")
    assert counts == [b"2", b"1"]


def test_a_replica_without_jobs_is_idle_from_its_last_finish_on(site: Site) -> None:
    job = site.running("a")
    before = site.now_ms()

    site.finish(finished(job))

    assert site.raw.hget(site.keys.worker("r1"), "state") == b"idle"
    assert int(site.raw.hget(site.keys.replica(ENV, "r1"), "idle_since")) >= before
    assert site.raw.zscore(site.keys.held(ENV), "r1") == 0


def test_a_thousand_ends_are_recorded_at_once(site: Site) -> None:
    site.enqueue(*[f"j{n}" for n in range(1000)])
    jobs = site.claim(count=1000)

    recorded = site.finish(*[failed(j) if j.id.endswith("9") else finished(j) for j in jobs])

    assert recorded.count(Recorded.FINISHED) == len(site.registry("finished")) == 900
    assert recorded.count(Recorded.FAILED) == len(site.registry("failed")) == 100
    assert site.traces() == set()


def test_a_retry_wakes_the_scaler(site: Site) -> None:
    job = site.running("a", retries_left=1)
    site.raw.hset(site.keys.environment(ENV), "poke", "1")

    site.finish(failed(job))

    assert site.raw.hget(site.keys.environment(ENV), "poke") == b"0"


def test_a_child_of_two_parents_in_one_batch_runs_after_both(site: Site) -> None:
    site.enqueue("p1", "p2", "p3")
    for child, parents in (("both", ("p1", "p2")), ("open", ("p1", "other"))):
        site.raw.hset(site.keys.job(child), mapping={"status": "deferred", "origin": ENV})
        site.raw.zadd(site.keys.registry("deferred", ENV), {child: 1})
        for parent in parents:
            site.raw.sadd(site.keys.dependents(parent), child)
            site.raw.sadd(site.keys.dependencies(child), parent)
    site.raw.hset(site.keys.job("other"), "status", "started")

    site.finish(*[finished(job) for job in site.claim()])

    assert (site.status("both"), site.status("open")) == ("queued", "deferred")
    assert site.queue() == ["both"]
    assert [*site.registry("deferred")] == ["open"]


def test_every_key_carries_the_prefix_that_rq_was_given(
    raw: redis.Redis, settings: Settings
) -> None:
    connection = Connection(replace(settings, key_prefix="{rq}"))
    site = Site(connection, raw)
    site.replica("r1")
    site.enqueue("a", "b", "c", "d", retries_left=0)
    site.raw.hset(site.keys.job("c"), mapping={"retries_left": 1, "retry_intervals": "[9]"})
    a, b, c, _ = site.claim()

    site.finish(finished(a), failed(b), failed(c))
    site.raw.zadd(site.keys.replicas(ENV), {"r1": 1})
    site.connection.run(site.leases.reclaim())
    connection.close()

    assert (site.status("b"), site.queue()) == ("failed", ["d"])
    stray = [k for k in site.raw.keys("*") if not k.startswith((b"{rq}:", b"reuse:{rq}:app:"))]
    assert stray == []
