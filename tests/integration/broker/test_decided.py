"""Ends that come from outside wait for a replica, where the job names something to be called."""

import json
from datetime import timedelta
from typing import Any

import pytest

from integration.broker.test_limits import due, enqueue, limits, pass_time
from reuse_queue.broker.queue import JobQueue
from reuse_queue.ends import NamedCallback, When
from reuse_queue.job import ClaimedJob, Recorded, Verdict
from support.site import ENV, STAMP, Site, canceled, failed, outcome

MOURN, REST = {"failure_callback_name": "app.mourn"}, {"stopped_callback_name": "app.rest"}
HOOK = {"webhooks": json.dumps([{"url": "http://h/", "job_status": "failed", "method": "GET"}])}
SENT = {"webhooks": json.dumps([{"url": "http://h/", "job_status": "finished", "method": "GET"}])}
MOST = 3


def claimed(site: Site, name: str = "r2") -> ClaimedJob:
    """Claim the job that is at the head, with another replica."""
    site.replica(name)
    (job,) = site.claim(name, 1)
    return job


@pytest.mark.parametrize("named", [MOURN, HOOK])
def test_a_killed_job_ends_when_a_replica_has_called_what_it_names(
    site: Site, named: dict[str, Any]
) -> None:
    job = site.running("late", timeout="5", **named)
    site.enqueue("other")
    site.end("r1", {job.execution: Verdict.FAILED}, cause="killed: a job ran past its timeout")
    assert site.status("late") == "queued"
    assert site.queue() == ["late", "other"]
    assert site.results("late") == []

    again = claimed(site)
    assert (again.id, again.deliveries_lost) == ("late", 0)
    assert again.decided is not None
    assert (again.decided.verdict, again.decided.retry) == (Verdict.FAILED, True)
    why = "reuse_queue.errors.JobTimeout: job late ran longer than its timeout of 5 s"
    assert why in again.decided.text
    assert site.finish(failed(again, "called"), name="r2") == [Recorded.FAILED]
    assert site.error("late") == "called"
    assert "reuse_decided" not in site.job("late")
    assert len(site.results("late")) == 1


@pytest.mark.parametrize("named", [{}, REST, SENT, {"webhooks": "no JSON"}])
def test_a_killed_job_that_names_nothing_for_that_fails_at_once(
    site: Site, named: dict[str, Any]
) -> None:
    job = site.running("late", **named)
    site.end("r1", {job.execution: Verdict.FAILED})
    assert site.status("late") == "failed"
    assert site.queue() == []


def test_a_decided_failure_is_tried_again_as_another(site: Site) -> None:
    job = site.running("late", retries_left=1, **MOURN)
    site.end("r1", {job.execution: Verdict.FAILED})
    assert site.finish(failed(claimed(site)), name="r2") == [Recorded.RETRIED]
    (run,) = site.claim("r2", 1)
    assert (run.id, run.decided, run.retries_left) == ("late", None, 0)
    # A new run, and a new end.
    site.end("r2", {run.execution: Verdict.FAILED})
    assert claimed(site, "r3").decided is not None


@pytest.mark.parametrize("named", [{}, MOURN])
def test_a_job_that_may_run_once_and_was_stopped_with_its_replica_has_failed(
    site: Site, named: dict[str, Any]
) -> None:
    job = site.running("once", reuse_once=1, **named)
    stopped = outcome(job, Verdict.INTERRUPTED)
    why = "reuse_queue.errors.JobLost: job once was stopped with its replica, and may run only once"
    if not named:
        assert site.finish(stopped) == [Recorded.FAILED]
        assert site.error("once") == why
        return
    assert site.finish(stopped) == [Recorded.RETRIED]
    again = claimed(site)
    assert again.decided is not None
    assert (again.decided.text, again.decided.retry) == (why, False)
    assert site.finish(failed(again), name="r2") == [Recorded.FAILED]


@pytest.mark.parametrize("once", [True, False])
def test_a_job_that_was_lost_once_too_often_has_its_callback_called(site: Site, once: bool) -> None:
    fields: dict[str, Any] = {"reuse_once": 1} if once else {"reuse_losses": MOST - 1}
    job = site.running("lost", retries_left=5, **fields, **MOURN)
    site.end("r1", {job.execution: None})
    again = claimed(site)
    assert again.decided is not None
    assert not again.decided.retry
    assert "reuse_queue.errors.JobLost: job lost was lost with its replica" in again.decided.text
    # What is left of it may be done twice, though the job may not.
    assert again.redeliver


def test_a_callback_is_called_again_after_a_loss_but_no_more_than_any_job(site: Site) -> None:
    job = site.running("late", timeout="5", **MOURN)
    site.end("r1", {job.execution: Verdict.FAILED})
    for number in range(2, 2 + MOST):
        again = claimed(site, f"r{number}")
        assert again.decided is not None
        site.end(f"r{number}", {again.execution: None})
    assert site.status("late") == "failed"
    assert "was lost with its replica 3 times" in site.error("late")


@pytest.mark.parametrize("once", [True, False])
def test_the_callback_of_a_job_that_is_dead_bears_losses_of_its_own(site: Site, once: bool) -> None:
    fields: dict[str, Any] = {"reuse_once": 1} if once else {"reuse_losses": MOST - 1}
    job = site.running("lost", **fields, **MOURN)
    site.end("r1", {job.execution: None})
    for number in range(2, 1 + MOST):
        again = claimed(site, f"r{number}")
        site.end(f"r{number}", {again.execution: None})
        assert site.status("lost") == "queued"
    last = claimed(site, "last")
    assert last.decided is not None
    site.end("last", {last.execution: None})
    assert site.status("lost") == "failed"
    assert "JobLost" in site.error("lost")


def test_what_was_not_begun_of_a_decided_end_goes_back_though_the_job_may_run_only_once(
    site: Site,
) -> None:
    job = site.running("once", reuse_once=1, **MOURN)
    site.end("r1", {job.execution: None})
    claimed(site)
    site.end("r2", {})
    again = claimed(site, "r3")
    assert again.decided is not None


def test_a_callback_that_is_killed_for_its_own_timeout_is_not_called_again(site: Site) -> None:
    job = site.running("late", retries_left=1, **MOURN)
    site.end("r1", {job.execution: Verdict.FAILED})
    again = claimed(site)
    site.end("r2", {again.execution: Verdict.FAILED})
    run = claimed(site, "r3")
    assert (run.id, run.decided, run.retries_left) == ("late", None, 0)


@pytest.mark.parametrize(
    ("verdict", "recorded", "status"),
    [
        (Verdict.CANCELED, Recorded.CANCELED, "canceled"),
        (Verdict.STOPPED, Recorded.FAILED, "stopped"),
    ],
)
def test_a_job_that_was_killed_for_a_cancel_or_a_stop_ends_so_after_its_callback(
    site: Site, verdict: Verdict, recorded: Recorded, status: str
) -> None:
    job = site.running("job", **REST, reuse_children="2,0,0,x")
    site.end("r1", {job.execution: verdict})
    assert site.status("job") == "queued"
    # Its children are not kept for so long.
    assert site.raw.hget(f"reuse:{{{ENV}}}:felled", "job") == b"0,2"
    again = claimed(site)
    assert again.decided is not None
    assert again.decided.verdict is verdict
    end = canceled(again) if verdict is Verdict.CANCELED else outcome(again, verdict, error="told")
    assert site.finish(end, name="r2") == [recorded]
    assert site.status("job") == status
    assert "reuse_decided" not in site.job("job")


def test_a_canceled_job_that_had_not_begun_has_nothing_called(site: Site) -> None:
    job = site.running("job", **REST)
    site.raw.sadd(site.keys.cancels(ENV, "r1"), job.execution)
    site.end("r1", {})
    assert site.status("job") == "canceled"


@pytest.mark.parametrize("delay", [None, timedelta(hours=1)])
def test_what_waits_too_long_ends_after_its_callback_or_a_minute(
    site: Site, delay: timedelta | None
) -> None:
    named = {When.FAILURE: NamedCallback(name="app.mourn")}
    limit = timedelta(hours=1 if delay is None else 0.5)
    first, second = (enqueue(site, deadline=limit, delay=delay, callbacks=named) for _ in range(2))
    for each in (first, second):
        pass_time(site, each)
    site.enqueue("other")
    due(site)
    assert sorted(site.queue()[:2]) == sorted([first, second])
    assert site.queue()[2:] == ["other"]
    assert site.registry("scheduled") == {}

    again, beside = site.claim(count=2)
    assert again.decided is not None
    assert "reuse_queue.errors.DeadlinePassed: job" in again.decided.text
    assert again.ends_in is not None
    assert again.ends_in <= timedelta(minutes=1)
    assert site.finish(failed(again, "called")) == [Recorded.FAILED]
    # The other one goes back, and nobody takes it.
    site.connection.run(site.leases.release("r1", [beside.execution]))
    due(site)
    assert site.status(beside.id) == "queued"
    pass_time(site, beside.id, hours=1)
    due(site)
    assert site.status(beside.id) == "failed"
    assert "DeadlinePassed" in site.error(beside.id)
    due(site)
    assert limits(site) == []
    assert "reuse_decided" not in site.job(beside.id)


def test_a_deadline_that_passes_while_a_failure_waits_for_its_callback_is_the_end(
    site: Site,
) -> None:
    named = {When.FAILURE: NamedCallback(name="app.mourn")}
    job_id = enqueue(site, deadline=timedelta(hours=1), retries=3, callbacks=named)
    (job,) = site.claim(count=1)
    site.end("r1", {job.execution: Verdict.FAILED})
    pass_time(site, job_id)
    due(site)
    again = claimed(site)
    assert again.decided is not None
    assert not again.decided.retry
    assert "DeadlinePassed" in again.decided.text


@pytest.mark.parametrize(
    "end",
    [
        '"verdict":"failed","text":1e999',
        '"verdict":"failed","text":"why","retry":1e999,"lost":1e999',
        '"verdict":{"a":[]},"text":"why"',
        '"text":' + "[" * 990 + "]" * 990,
    ],
)
def test_what_is_no_end_of_ours_costs_no_job(site: Site, end: str) -> None:
    run = {"reuse_decided": f'{{"run":"{STAMP}",{end}}}', **MOURN}
    job = site.running("job", **run)
    assert job.decided is None or not job.decided.retry
    site.end("r1", {job.execution: None})
    assert claimed(site).id == "job"


def test_a_requeued_job_runs_again_whoever_canceled_or_requeued_it(site: Site) -> None:
    job = site.running("late", **MOURN)
    site.end("r1", {job.execution: Verdict.FAILED})
    queue = JobQueue(site.keys)
    site.connection.run(queue.cancel(["late"]))
    assert site.status("late") == "canceled"
    site.connection.run(queue.requeue(["late"]))
    assert claimed(site).decided is None
    # rq's own requeue leaves the field: it is that of another run.
    site.raw.hset(site.keys.job("late"), "reuse_decided", '{"verdict":"failed","run":"before"}')
    site.connection.run(site.leases.release("r2", known=()))
    (again,) = site.claim("r2", 1)
    assert again.decided is None
