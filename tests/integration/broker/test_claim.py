"""claim, wait and renew: jobs leave the queue for one replica, and are never in two places."""

import threading
from datetime import timedelta

import pytest
from rq.suspension import suspend

from reuse_queue.broker.lease import new_token
from reuse_queue.broker.queue import JobQueue
from reuse_queue.job import Claim, NewJob, Terms
from support.eventually import eventually_sync
from support.site import ENV, Site


def test_a_claimed_job_is_started_and_leased_in_the_same_step(site: Site) -> None:
    site.enqueue("a", timeout=30, result_ttl=60, retries_left=2, reuse_losses=1)

    (job,) = site.claim()

    assert (job.id, job.data) == ("a", b"payload")
    assert (job.timeout, job.result_ttl) == (timedelta(seconds=30), timedelta(seconds=60))
    assert (job.retries_left, job.deliveries_lost) == (2, 1)
    assert job.enqueued_at is not None
    assert job.enqueued_at.isoformat() == "2026-01-02T03:04:05.000006+00:00"
    member = f"a:{job.execution}"
    record = site.job("a")
    assert (record["status"], record["worker_name"]) == ("started", "r1")
    assert record["started_at"] == record["last_heartbeat"] != ""
    # rq's own cleanup fails lapsed entries: ours must come a minute earlier.
    lease_end = site.raw.zscore(site.keys.replicas(ENV), "r1")
    assert site.registry("wip")[member] * 1000 >= lease_end + 58_000
    assert site.raw.smembers(site.keys.worker_executions("r1")) == {member.encode()}
    assert 80 <= site.raw.ttl(site.keys.execution("a", job.execution)) <= 90
    assert site.queue() == []


def test_waiting_ids_come_first_then_urgent_ones_then_the_queue(site: Site) -> None:
    site.enqueue("normal1", "normal2", "urgent", "waiting")
    site.raw.ltrim(site.keys.queue(ENV), 0, 1)
    site.raw.rpush(site.keys.urgent(ENV), "urgent")
    site.raw.rpush(site.keys.waiting(ENV, "r1"), "waiting")

    claim = site.claims(count=3)

    assert [job.id for job in claim.jobs] == ["waiting", "urgent", "normal1"]
    assert claim.backlog == 1


def test_a_claim_for_urgent_jobs_leaves_the_queue_alone_but_for_those_at_its_head(site: Site):
    site.enqueue("first", enqueue_at_front=1)
    site.enqueue("normal")
    site.enqueue("behind", enqueue_at_front=1)
    site.enqueue("urgent")
    site.raw.lmove(site.keys.queue(ENV), site.keys.urgent(ENV), "RIGHT", "LEFT")

    step = site.leases.claim("r1", 10, new_token(), urgent_only=True)
    claim = site.connection.run(step)

    assert [job.id for job in claim.jobs] == ["urgent", "first"]
    assert site.queue() == ["normal", "behind"]


def test_what_is_no_runnable_job_is_dropped_and_the_next_one_taken(site: Site) -> None:
    site.enqueue("canceled", status="canceled")
    site.enqueue("deleted", "garbage", "good", "later")
    site.raw.delete(site.keys.job("deleted"), site.keys.job("garbage"))
    site.raw.set(site.keys.job("garbage"), "no hash")

    claim = site.claims(count=1)

    assert [job.id for job in claim.jobs] == ["good"]
    assert claim.dropped == ("canceled", "deleted", "garbage")
    assert site.status("canceled") == "canceled"
    assert site.queue() == ["later"]


def test_a_job_that_is_claimed_no_longer_expires(site: Site) -> None:
    site.enqueue("a", ttl=60)
    site.raw.expire(site.keys.job("a"), 60)

    site.claim()

    assert site.raw.ttl(site.keys.job("a")) == -1


def test_odd_numbers_in_a_stock_job_do_not_cost_the_claim(site: Site) -> None:
    site.enqueue("a", timeout="soon", result_ttl=10**17, retries_left="", enqueued_at="today")
    site.enqueue("b")

    a, b = site.claim()

    assert (a.timeout, a.result_ttl) == (timedelta(seconds=180), None)
    assert (a.retries_left, a.enqueued_at) == (0, None)
    assert (b.timeout, b.result_ttl) == (timedelta(seconds=180), timedelta(seconds=500))


def test_an_urgent_job_that_a_claim_leaves_behind_an_empty_queue_wakes_an_idle_replica(
    site: Site,
) -> None:
    site.enqueue("waiting", "urgent")
    site.raw.lmove(site.keys.queue(ENV), site.keys.waiting(ENV, "r1"), "LEFT", "RIGHT")
    site.raw.lmove(site.keys.queue(ENV), site.keys.urgent(ENV), "LEFT", "RIGHT")

    claim = site.claims(count=1)

    assert [job.id for job in claim.jobs] == ["waiting"]
    # Idle replicas block on this list, not on the urgent one.
    assert site.queue() == ["urgent"]
    assert claim.backlog == 1


@pytest.mark.parametrize("switch", ["paused", "drained", "rq suspend"])
def test_a_paused_environment_gives_nothing_and_takes_waiting_ids_back(
    site: Site, switch: str
) -> None:
    site.enqueue("a", "b")
    site.raw.lmove(site.keys.queue(ENV), site.keys.waiting(ENV, "r1"), "LEFT", "RIGHT")
    if switch == "rq suspend":
        suspend(site.raw)
    else:
        site.raw.hset(site.keys.environment(ENV), switch, "1")

    claim = site.claims()

    assert (claim.jobs, claim.refused) == ((), "paused")
    assert site.queue() == ["a", "b"]
    assert site.status("a") == "queued"


def test_a_draining_replica_may_still_claim_what_it_has_waited_for(site: Site) -> None:
    site.enqueue("a", "b")
    site.raw.lmove(site.keys.queue(ENV), site.keys.waiting(ENV, "r1"), "LEFT", "RIGHT")
    site.raw.hset(site.keys.replica(ENV, "r1"), "state", "draining")

    first, second = site.claims(), site.claims()

    assert [job.id for job in first.jobs] == ["a"]
    assert (second.jobs, second.refused) == ((), "draining")
    assert site.queue() == ["b"]


def test_a_replica_off_the_books_gets_nothing_and_strands_nothing(site: Site) -> None:
    site.enqueue("a")
    site.raw.lmove(site.keys.queue(ENV), site.keys.waiting(ENV, "ghost"), "LEFT", "RIGHT")

    claim = site.claims("ghost")

    assert (claim.jobs, claim.refused) == ((), "lost")
    assert site.queue() == ["a"]
    assert site.raw.zscore(site.keys.held(ENV), "ghost") is None


def test_a_claim_tells_how_many_replicas_claim_and_how_many_of_them_are_idle(site: Site) -> None:
    site.replica("r2")
    site.replica("r3", state="starting")
    assert site.claims("r2") == Claim(replicas=1, idle=1)
    assert site.claims("r3").refused == "starting"

    site.enqueue("a", "b", "c")
    claim = site.claims("r1", count=2)

    assert (claim.backlog, claim.replicas, claim.idle) == (1, 2, 1)


def test_a_replica_with_jobs_is_busy(site: Site) -> None:
    site.enqueue("a")

    site.claim()

    assert site.raw.hget(site.keys.worker("r1"), "state") == b"busy"
    assert site.raw.hget(site.keys.replica(ENV, "r1"), "idle_since") == b""


def test_a_thousand_jobs_are_claimed_at_once_in_order(site: Site) -> None:
    ids = [f"j{n}" for n in range(1100)]
    site.enqueue(*ids)

    claim = site.claims(count=1000)

    assert [job.id for job in claim.jobs] == ids[:1000]
    assert claim.backlog == 100


def wait(site: Site, timeout: timedelta) -> Claim:
    return site.connection.run(site.leases.wait_and_claim("r1", timeout, 10, new_token()))


def test_wait_moves_a_job_to_the_waiting_list_and_claims_nothing(site: Site) -> None:
    site.enqueue("a")

    got = site.connection.run(site.leases.wait("r1", timedelta(seconds=1)))

    assert got == "a"
    assert site.raw.lrange(site.keys.waiting(ENV, "r1"), 0, -1) == [b"a"]
    assert site.status("a") == "queued"
    assert [job.id for job in site.claim()] == ["a"]


def test_a_wait_may_claim_what_comes_in_the_same_round_trip(site: Site) -> None:
    got: list[Claim] = []
    waiting = threading.Thread(target=lambda: got.append(wait(site, timedelta(seconds=5))))
    waiting.start()
    eventually_sync(lambda: site.raw.info("clients")["blocked_clients"] == 1)

    site.enqueue("a")

    waiting.join()
    assert [job.id for job in got[0].jobs] == ["a"]
    assert site.status("a") == "started"
    assert site.raw.exists(site.keys.waiting(ENV, "r1")) == 0


def test_wait_claims_nothing_when_nothing_comes(site: Site) -> None:
    assert wait(site, timedelta(0)).jobs == ()


def test_wait_claims_what_it_cannot_be_woken_by(site: Site) -> None:
    site.enqueue("a")
    site.raw.rename(site.keys.queue(ENV), site.keys.urgent(ENV))
    assert [job.id for job in wait(site, timedelta(0)).jobs] == ["a"]


def test_every_job_of_a_claim_has_its_own_execution(site: Site) -> None:
    site.enqueue(*(f"j{n}" for n in range(20)))
    executions = [job.execution for _ in range(2) for job in site.claim(count=10)]
    assert len(set(executions)) == 20
    assert {len(each) for each in executions} == {32}


def heard(site: Site) -> bool:
    """Return whether the scaler was told of news since it asked to be."""
    poke: bytes = site.raw.hget(site.keys.environment(ENV), "poke")
    return poke == b"0"


def listen(site: Site) -> None:
    site.raw.hset(site.keys.environment(ENV), mapping={"state": "active", "poke": "1"})


def put(site: Site, *ids: str) -> None:
    jobs = [NewJob(each, b"x", Terms(description="")) for each in ids]
    site.connection.run(JobQueue(site.keys).enqueue(ENV, jobs))


def test_a_job_that_an_idle_replica_takes_is_no_news_to_the_scaler(site: Site) -> None:
    site.claim()  # from now on the replica is known to be idle
    listen(site)
    put(site, "a")
    assert not heard(site)
    site.claim()
    assert not heard(site)


def test_more_jobs_than_there_are_idle_replicas_are_news(site: Site) -> None:
    site.claim()
    listen(site)
    put(site, "a", "b")
    assert heard(site)


def test_a_replica_that_cannot_take_all_tells_the_scaler(site: Site) -> None:
    """Two jobs that came one by one may both have been meant for the one idle replica."""
    site.claim()
    listen(site)
    put(site, "a")
    site.raw.rpush(site.keys.queue(ENV), "b")
    assert not heard(site)
    site.claim(count=1)
    assert heard(site)


def test_a_busy_replica_that_leaves_a_backlog_tells_the_scaler_nothing_new(site: Site) -> None:
    site.running("a")
    site.enqueue("b", "c")
    listen(site)
    site.claim(count=1)
    assert not heard(site)


def test_renew_extends_leases_of_a_replica_and_of_all_it_holds(site: Site) -> None:
    job = site.running("a")
    execution, index = site.keys.execution("a", job.execution), site.keys.executions("a")
    site.raw.zadd(site.keys.replicas(ENV), {"r1": 1})
    site.raw.zadd(site.keys.registry("wip", ENV), {f"a:{job.execution}": 1})
    for key in (execution, index, site.keys.worker("r1"), site.keys.worker_executions("r1")):
        site.raw.expire(key, 5)

    kept = site.connection.run(site.leases.renew(["r1", "ghost"]))

    assert kept == [True, False]
    now_ms = site.now_ms()
    assert site.raw.zscore(site.keys.replicas(ENV), "r1") > now_ms + 28_000
    assert site.registry("wip")[f"a:{job.execution}"] * 1000 > now_ms + 88_000
    for key in (execution, index, site.keys.worker("r1"), site.keys.worker_executions("r1")):
        assert site.raw.ttl(key) > 80
    assert site.raw.exists(site.keys.worker("ghost")) == 0
    assert site.raw.zscore(site.keys.replicas(ENV), "ghost") is None
