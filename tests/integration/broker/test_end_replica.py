"""end_replica: the jobs of a dead replica go back or end in the same step."""

import pytest

from reuse_queue.broker.lease import new_token
from reuse_queue.job import Verdict
from support.eventually import eventually_sync
from support.site import ENV, Site, finished


def deaths(site: Site) -> list[dict[bytes, bytes]]:
    return [entry for _, entry in site.raw.xrange(site.keys.deaths(ENV))]


def test_running_jobs_are_charged_and_what_had_not_begun_is_not(site: Site) -> None:
    site.enqueue("ran1", "ahead", "ran2", "waiting", "later")
    ran1, _, ran2 = site.claim(count=3)
    site.raw.lmove(site.keys.queue(ENV), site.keys.waiting(ENV, "r1"), "LEFT", "RIGHT")

    assert site.end("r1", {ran1.execution: None, ran2.execution: None}) == 4

    assert site.queue() == ["ran1", "ahead", "ran2", "waiting", "later"]
    losses = [site.job(each).get("reuse_losses") for each in ("ran1", "ahead", "ran2")]
    assert losses == ["1", None, "1"]
    assert site.status("ran1") == site.status("ahead") == "queued"
    assert site.traces() == set()


def test_a_dead_replica_leaves_no_key_and_one_record(site: Site) -> None:
    site.running("a")

    site.end("r1", {})

    left = {key.decode() for key in site.raw.keys("*r1*")}
    assert left == set()
    members = [
        site.raw.zscore(site.keys.replicas(ENV), "r1"),
        site.raw.zscore(site.keys.held(ENV), "r1"),
    ]
    assert members == [None, None]
    for key in (site.keys.workers(), site.keys.workers_of(ENV), site.keys.assigned(ENV, "h1")):
        assert site.raw.exists(key) == 0
    (death,) = deaths(site)
    assert death[b"replica"] == b"r1"
    assert (death[b"host"], death[b"version"], death[b"detail"]) == (b"h1", b"v1", b"detail")
    assert (death[b"was_ready"], death[b"age"], death[b"held"]) == (b"1", b"12500", b"1")


def test_a_repeat_changes_nothing(site: Site) -> None:
    job = site.running("a")
    site.end("r1", {job.execution: None})
    site.replica("r2")
    (again,) = site.claim("r2")

    assert site.end("r1", {job.execution: None}) == 0

    assert len(deaths(site)) == 1
    assert site.finish(finished(again), name="r2")[0].value == "finished"


def test_a_replica_that_was_asked_to_end_is_no_death(site: Site) -> None:
    site.running("a")

    assert site.end("r1", {}, asked=True) == 1

    assert deaths(site) == []
    assert site.queue() == ["a"]


def test_a_job_goes_to_the_front_after_its_first_loss_and_to_the_back_after_the_second(
    site: Site,
) -> None:
    job = site.running("poison")
    site.enqueue("other")

    site.end("r1", {job.execution: None})
    assert site.queue() == ["poison", "other"]

    site.replica("r2")
    (job,) = site.claim("r2", 1)
    assert (job.id, job.deliveries_lost) == ("poison", 1)
    site.end("r2", {job.execution: None})
    assert site.queue() == ["other", "poison"]


def test_a_child_goes_to_the_front_after_every_loss(site: Site) -> None:
    # A replica where many jobs wait takes on children only, and of the queue those at its head.
    job = site.running("child", reuse_parent="p:e", enqueue_at_front=1)
    site.enqueue("other")
    site.end("r1", {job.execution: None})
    site.replica("r2")
    (job,) = site.claim("r2", 1)
    site.end("r2", {job.execution: None})

    site.replica("r3")
    crowded = site.leases.claim("r3", 10, new_token(), urgent_only=True)
    assert [each.id for each in site.connection.run(crowded).jobs] == ["child"]


def test_a_job_lost_too_often_fails_and_tells_of_every_death(site: Site) -> None:
    for name, cause in (
        ("r1", "killed by SIGKILL"),
        ("r2", "exit code 3"),
        ("r3", "out of memory"),
    ):
        site.replica(name)
        job = site.running("a") if name == "r1" else site.claim(name)[0]
        site.end(name, {job.execution: None}, cause=cause)

    assert site.status("a") == "failed"
    assert [*site.registry("failed")] == ["a"]
    assert site.queue() == []
    text = site.error("a")
    for name, cause in (("r1", "killed by SIGKILL"), ("r2", "exit code 3")):
        assert f"replica {name} on host h1 at 20" in text
        assert cause in text
    assert text.splitlines()[-1].startswith(
        "reuse_queue.errors.JobLost: job a was lost with its replica 3 times"
    )
    assert text.endswith("out of memory")
    assert site.results("a")[0]["worker_name"] == "r3"


def test_a_job_that_may_run_only_once_fails_at_its_first_loss(site: Site) -> None:
    job = site.running("a", reuse_once=1, retries_left=5)

    site.end("r1", {job.execution: None})

    assert site.status("a") == "failed"
    assert "may run only once" in site.error("a")


def test_a_job_that_may_run_only_once_does_not_go_back_though_it_is_not_seen_running(
    site: Site,
) -> None:
    # It may have ended a moment ago, its outcome not recorded yet.
    site.running("a", reuse_once=1)

    site.end("r1", {})

    assert (site.status("a"), site.queue()) == ("failed", [])
    assert "may run only once" in site.error("a")


def test_a_job_that_may_run_only_once_goes_back_if_it_had_not_begun(site: Site) -> None:
    ran = site.running("a", reuse_once=1)
    waited = site.running("b", reuse_once=1)

    assert site.end("r1", {ran.execution: None}, unbegun=[waited.execution]) == 2

    assert (site.status("a"), site.status("b"), site.queue()) == ("failed", "queued", ["b"])
    assert "reuse_losses" not in site.job("b")


@pytest.mark.parametrize("retries", [0, 1])
def test_a_job_past_its_timeout_fails_like_any_other_failure(site: Site, retries: int) -> None:
    job = site.running("a", timeout=7, retries_left=retries)

    site.end("r1", {job.execution: Verdict.FAILED})

    assert "reuse_losses" not in site.job("a")
    if retries:
        assert (site.status("a"), site.queue()) == ("queued", ["a"])
    else:
        assert site.status("a") == "failed"
        assert "JobTimeout: job a ran longer than its timeout of 7 s" in site.error("a")


def test_a_canceled_job_ends_canceled_by_verdict_or_by_order(site: Site) -> None:
    verdict, ordered = site.running("verdict"), site.running("ordered")
    site.raw.sadd(site.keys.cancels(ENV, "r1"), ordered.execution)

    site.end("r1", {verdict.execution: Verdict.CANCELED, ordered.execution: None})

    assert site.status("verdict") == site.status("ordered") == "canceled"
    assert site.registry("canceled").keys() == {"verdict", "ordered"}
    assert site.queue() == []


def test_a_job_that_rqs_command_stopped_is_kept_among_the_failed_unless_it_was_canceled(
    site: Site,
) -> None:
    stopped, canceled = site.running("stopped", retries_left=3), site.running("canceled")
    site.raw.sadd(site.keys.cancels(ENV, "r1"), canceled.execution)

    site.end("r1", {job.execution: Verdict.STOPPED for job in (stopped, canceled)})

    assert (site.status("stopped"), site.status("canceled")) == ("stopped", "canceled")
    assert site.registry("failed").keys() == {"stopped"}
    assert "killed by SIGKILL" in site.error("stopped")
    assert site.traces() == set()


def test_a_job_whose_end_was_recorded_is_left_alone(site: Site) -> None:
    """Its finish came through, and the agent still saw it on the board."""
    job = site.running("a")
    site.finish(finished(job))

    assert site.end("r1", {job.execution: None}) == 0
    assert (site.status("a"), site.queue()) == ("finished", [])


def test_a_job_that_runs_elsewhere_by_now_is_left_alone(site: Site) -> None:
    """Somebody took it away from r1 (as rq's own cleanup does) and r2 has it."""
    old = site.running("a")
    site.raw.zrem(site.keys.registry("wip", ENV), f"a:{old.execution}")
    site.replica("r2")
    new = site.running("a", "r2")

    assert site.end("r1", {old.execution: None}) == 0

    assert (site.status("a"), site.queue()) == ("started", [])
    assert site.raw.exists(site.keys.execution("a", old.execution)) == 0
    assert site.finish(finished(new), name="r2")[0].value == "finished"


def test_the_end_of_a_replica_is_news_for_the_scaler_but_no_work_that_ends_dormancy(
    site: Site,
) -> None:
    site.replica("r1", state="draining")
    site.raw.hset(site.keys.environment(ENV), mapping={"state": "dormant", "poke": "1"})
    with site.raw.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(site.keys.wake_channel())
        eventually_sync(lambda: site.raw.pubsub_numsub(site.keys.wake_channel())[0][1] == 1)

        site.end("r1", {}, asked=True)

        message = eventually_sync(heard.get_message)
    assert message["data"] == ENV.encode()
    assert site.raw.hget(site.keys.environment(ENV), "state") == b"dormant"
