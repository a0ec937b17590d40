"""release: what a replica will not run goes back as if it had never been claimed."""

from support.site import ENV, Site, finished


def release(site: Site, *only: str, known: list[str] | None = None) -> int:
    return site.connection.run(site.leases.release("r1", only, known))


def test_released_jobs_go_back_to_the_front_in_their_old_order(site: Site) -> None:
    site.enqueue("a", "b", "c", "d", "later")
    first, second = site.claim(count=2), site.claim(count=2)
    a, b, c, d = (*first, *second)

    assert release(site, d.execution, c.execution, b.execution) == 3

    assert site.queue() == ["b", "c", "d", "later"]
    record = site.job("b")
    assert (record["status"], record["started_at"], record["worker_name"]) == ("queued", "", "")
    assert "reuse_losses" not in record
    assert site.traces() == {
        f"a:{a.execution}",
        f"rq:execution:a:{a.execution}",
        "rq:executions:a",
        "rq:worker:r1:executions",
    }


def test_a_claim_whose_reply_was_lost_is_undone(site: Site) -> None:
    site.enqueue("a", "b", "c", "d")
    (a,) = site.claim(count=1)
    site.claim(count=2)  # its reply never came
    site.raw.lmove(site.keys.queue(ENV), site.keys.waiting(ENV, "r1"), "LEFT", "RIGHT")

    assert release(site, known=[a.execution]) == 3

    assert site.queue() == ["b", "c", "d"]
    assert [*site.registry("wip")] == [f"a:{a.execution}"]


def test_a_released_job_can_no_longer_be_finished_by_its_first_claim(site: Site) -> None:
    job = site.running("a")
    release(site, job.execution)
    (again,) = site.claim()

    first, second = site.finish(finished(job)), site.finish(finished(again))

    assert (first[0].value, second[0].value) == ("lost", "finished")


def test_a_replica_that_gave_everything_back_is_idle(site: Site) -> None:
    site.running("a")

    assert release(site, known=[]) == 1

    assert site.raw.hget(site.keys.worker("r1"), "state") == b"idle"
    assert site.raw.hget(site.keys.replica(ENV, "r1"), "idle_since") != b""


def test_a_canceled_job_does_not_go_back(site: Site) -> None:
    ordered, set_canceled = site.running("a"), site.running("b")
    site.raw.sadd(site.keys.cancels(ENV, "r1"), ordered.execution)
    site.raw.hset(site.keys.job("b"), "status", "canceled")

    assert release(site, ordered.execution, set_canceled.execution) == 0

    assert (site.status("a"), site.status("b"), site.queue()) == ("canceled", "canceled", [])
    assert site.traces() == set()


def test_a_released_job_with_a_ttl_expires_in_the_queue_again(site: Site) -> None:
    site.running("a", ttl=60)

    release(site, known=[])

    assert 0 < site.raw.ttl(site.keys.job("a")) <= 60


def test_tidying_up_does_not_interrupt_the_rest_of_an_idle_replica(site: Site) -> None:
    idle_since = site.now_ms() - 20_000
    site.raw.hset(site.keys.replica(ENV, "r1"), "idle_since", idle_since)

    assert release(site, known=[]) == 0

    assert int(site.raw.hget(site.keys.replica(ENV, "r1"), "idle_since")) == idle_since
