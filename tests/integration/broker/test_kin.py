"""Parents and children: who is whose, and who goes with whom."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reuse_queue.broker.queue import JobQueue
from reuse_queue.context import RunningJob, running
from reuse_queue.job import ClaimedJob, Job, JobStatus, NewJob, Outcome, Recorded, Terms, Verdict
from support.eventually import eventually_sync
from support.site import ENV, Site, canceled, failed, finished, outcome

OTHER = "other"


def queue(site: Site) -> JobQueue:
    return JobQueue(site.keys)


def running_job(job: ClaimedJob, env: str = ENV) -> RunningJob:
    return RunningJob(
        id=job.id, execution=job.execution, environment=env, replica="r1", run=job.run
    )


def call(site: Site, parent: RunningJob | ClaimedJob, *ids: str, env: str = ENV, **terms: object):
    """Enqueue children as the parent's code does."""
    job = running_job(parent) if isinstance(parent, ClaimedJob) else parent
    like = Terms(description="", child=True, **terms)  # type: ignore[arg-type]  # a test's words
    with running(job):
        return site.connection.run(
            queue(site).enqueue(env, [NewJob(id=i, data=b"x", terms=like) for i in ids])
        )


def cancel(site: Site, *ids: str) -> list[JobStatus | None]:
    return site.connection.run(queue(site).cancel(ids))


def fell(site: Site) -> int:
    return site.connection.run(queue(site).fell(ENV))


def job(site: Site, job_id: str) -> Job:
    return site.connection.run(queue(site).fetch(job_id))


def listed(site: Site, parent: str) -> list[str]:
    return [each.decode() for each in site.raw.zrange(site.keys.children(ENV, parent), 0, -1)]


def statuses(site: Site, *ids: str) -> list[str | None]:
    return [site.status(each) for each in ids]


def late(job: ClaimedJob, *, retry: bool = False) -> Outcome:
    return replace(outcome(job, Verdict.FAILED, error="late", retry=retry), late=True)


def test_a_child_names_its_parent_which_has_a_list_of_its_children(site: Site) -> None:
    parent = site.running("parent")

    call(site, parent, "b", "a")
    call(site, parent, "c", env=OTHER, delay=timedelta(hours=1))

    assert listed(site, "parent") == ["b", "a", "c"]
    assert [job(site, each).parent for each in "abc"] == ["parent"] * 3
    assert (job(site, "parent").children, job(site, "parent").parent) == (3, "")
    # Told again, as after a lost reply or by the parent's next execution, nothing changes.
    assert call(site, parent, "b", "a") == 0
    assert job(site, "parent").children == 3


def test_children_go_with_their_canceled_parent_and_theirs_in_all_environments(
    site: Site,
) -> None:
    root = site.running("root")
    call(site, root, "running", "queued")
    call(site, root, "elsewhere", env=OTHER)
    call(site, root, "later", delay=timedelta(hours=1))
    call(site, root, "detached", detached=True)
    below = {each.id: each for each in site.claim()}
    assert set(below) == {"running", "queued", "detached"}
    call(site, below["running"], "grandchild", env=OTHER)
    call(site, below["detached"], "not theirs")
    site.finish(finished(below["queued"]))

    assert cancel(site, "root") == [JobStatus.STARTED]

    ids = ("queued", "elsewhere", "later", "grandchild", "detached", "not theirs")
    assert statuses(site, *ids) == [
        "finished", "canceled", "canceled", "canceled", "started", "queued"
    ]  # fmt: skip
    ordered = site.raw.smembers(site.keys.cancels(ENV, "r1"))
    assert ordered == {root.execution.encode(), below["running"].execution.encode()}
    assert site.raw.exists(site.keys.felled(ENV), site.keys.felled(OTHER)) == 0


def test_more_children_than_one_look_takes_are_canceled(site: Site) -> None:
    parent = site.running("parent")
    ids = [f"c{n}" for n in range(1201)]
    call(site, parent, *ids)
    cancel(site, "parent")
    assert set(statuses(site, *ids)) == {"canceled"}


@pytest.mark.parametrize("end", [canceled, lambda job: outcome(job, Verdict.STOPPED)])
def test_what_a_parent_enqueues_until_its_end_goes_with_it(site: Site, end) -> None:
    parent = site.running("parent")
    cancel(site, "parent")
    call(site, parent, "late")
    assert site.status("late") == "queued"

    site.finish(end(parent))
    assert fell(site) > 0

    assert site.status("late") == "canceled"
    # Code that goes on after that, too.
    call(site, parent, "later still")
    fell(site)
    assert site.status("later still") == "canceled"
    assert not site.raw.exists(site.keys.felled(ENV))


def test_a_parent_that_ends_otherwise_leaves_its_children_alone(site: Site) -> None:
    good, bad, lost = (site.running(each) for each in ("good", "bad", "lost"))
    for parent in (good, bad, lost):
        call(site, parent, f"child of {parent.id}")

    site.finish(finished(good), failed(bad))
    site.end("r1", {lost.execution: None})
    fell(site)

    assert statuses(site, "child of good", "child of bad", "child of lost") == ["queued"] * 3


@pytest.mark.parametrize("by_agent", [False, True])
def test_a_run_that_is_too_late_takes_its_own_children_along(site: Site, by_agent) -> None:
    first = site.running("parent", retries_left=2)
    call(site, first, "of an earlier run", env=OTHER)
    site.finish(failed(first))
    second = next(each for each in site.claim() if each.id == "parent")
    assert second.run != first.run
    call(site, second, "a", "b", env=OTHER)

    if by_agent:
        site.end("r1", {second.execution: Verdict.FAILED})
    else:
        assert site.finish(late(second, retry=True)) == [Recorded.RETRIED]
    site.replica("r2")
    third = next(each for each in site.claim("r2") if each.id == "parent")
    call(site, third, "of the next run", env=OTHER)
    fell(site)

    assert statuses(site, "a", "b") == ["canceled"] * 2
    assert statuses(site, "of an earlier run", "of the next run") == ["queued"] * 2


def test_a_deadline_that_passes_while_the_parent_waits_again_takes_its_children_along(
    site: Site,
) -> None:
    terms = Terms(description="", deadline=timedelta(seconds=0.05))
    new = NewJob(id="parent", data=b"x", terms=terms)
    site.connection.run(queue(site).enqueue(ENV, [new]))
    (parent,) = site.claim()
    call(site, parent, "child")
    site.end("r1", {}, unbegun=[parent.execution])
    assert site.status("parent") == "queued"

    def failed_by_then() -> bool:
        site.connection.run(queue(site).due(ENV))
        return site.status("parent") == "failed"

    eventually_sync(failed_by_then)
    fell(site)
    assert site.status("child") == "canceled"


def test_children_of_a_job_that_rq_cancels_go_when_the_scaler_looks(site: Site) -> None:
    parent = site.running("parent")
    call(site, parent, "child")
    site.raw.hset(site.keys.job("parent"), "status", "canceled")
    site.raw.zadd(site.keys.registry("canceled", ENV), {"parent": site.now_ms() // 1000})

    site.connection.run(queue(site).sweep(ENV))
    fell(site)

    assert site.status("child") == "canceled"


def test_a_child_that_its_parent_has_canceled_is_written_anew_for_its_next_execution(
    site: Site,
) -> None:
    parent = site.running("parent")
    call(site, parent, "child", "unwanted")
    with running(running_job(parent)):
        cancel(site, "child")
    cancel(site, "unwanted")

    assert call(site, parent, "child") == 0
    assert site.status("child") == "canceled"

    again = replace(running_job(parent), execution="another")
    assert call(site, again, "child", "unwanted") == 1
    assert statuses(site, "child", "unwanted") == ["queued", "canceled"]
    assert set(site.registry("canceled")) == {"unwanted"}
    assert site.queue().count("child") == 1


def test_children_that_ran_where_their_parent_was_killed_for_its_timeout_end_with_it(
    site: Site,
) -> None:
    site.replica()
    parent = site.running("parent", timeout=1)
    call(site, parent, "child")
    call(site, parent, "free", detached=True)
    claimed = {each.id: each for each in site.claim()}
    call(site, claimed["child"], "grandchild")
    assert [each.id for each in site.claim()] == ["grandchild"]

    site.end("r1", {parent.execution: Verdict.FAILED})

    assert statuses(site, "parent", "child", "grandchild", "free") == [
        *("failed", "canceled", "canceled", "queued")
    ]
    assert site.queue() == ["free"]


@pytest.mark.parametrize("by_parent", [True, False])
def test_who_cancels_a_child_that_only_their_replicas_end_can_end_is_charged(
    site: Site, *, by_parent: bool
) -> None:
    site.replica()
    parent = site.running("parent")
    call(site, parent, "child")
    (child,) = site.claim()
    site.running("bystander")
    if by_parent:
        with running(running_job(parent)):
            cancel(site, "child")
    else:
        cancel(site, "child")

    site.end("r1", {child.execution: Verdict.CANCELED})

    assert statuses(site, "child", "parent", "bystander") == ["canceled", "queued", "queued"]
    assert job(site, "parent").deliveries_lost == int(by_parent)
    assert job(site, "bystander").deliveries_lost == 0


def test_the_result_of_a_child_is_kept_as_long_again_for_another_execution(site: Site) -> None:
    parent = site.running("parent")
    call(site, parent, "child", result_ttl=timedelta(seconds=500))
    (child,) = site.claim()
    site.finish(finished(child))
    keys = site.keys.job("child"), site.keys.results("child")
    for key in keys:
        site.raw.expire(key, 2)
    site.raw.zadd(site.keys.registry("finished", ENV), {"child": 2})

    call(site, parent, "child")
    assert [site.raw.ttl(key) for key in keys] == [2, 2]

    assert call(site, replace(running_job(parent), execution="another"), "child") == 0
    assert [site.raw.ttl(key) for key in keys] == [500, 500]
    assert abs(site.registry("finished")["child"] - site.now_ms() / 1000 - 500) < 2


def test_only_so_many_ended_children_stay_listed_and_all_that_go_on(site: Site) -> None:
    parent = site.running("parent")
    lived = [f"live{n}" for n in range(5)]
    call(site, parent, *lived)
    for each in lived:
        site.raw.lrem(site.keys.queue(ENV), 0, each)
    for batch in range(30):
        ids = [f"{batch}-{n}" for n in range(500)]
        call(site, parent, *ids)
        with site.raw.pipeline() as pipe:
            for each in ids:
                pipe.hset(site.keys.job(each), "status", "finished")
            pipe.execute()

    there = listed(site, "parent")
    assert 10_000 <= len(there) <= 10_500
    assert there[:5] == lived
    assert there[-1] == "29-499"
    assert job(site, "parent").children == 15_005


def test_the_list_goes_with_the_parents_record(site: Site) -> None:
    ends: dict[str, Any] = {"finished": finished, "failed": failed, "canceled": canceled}
    parents = [site.running(each) for each in ends]
    for parent, end in zip(parents, ends.values(), strict=True):
        call(site, parent, f"child of {parent.id}")
        assert site.raw.ttl(site.keys.children(ENV, parent.id)) > 10**7
        site.finish(end(parent))
    site.connection.run(queue(site).sweep(ENV))

    for each in ends:
        lasts = site.raw.ttl(site.keys.job(each))
        assert lasts > 0
        assert abs(site.raw.ttl(site.keys.children(ENV, each)) - lasts) <= 1
