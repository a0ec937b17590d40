"""Random histories of one environment: whatever happens, each job is in exactly one place."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from rq import Queue

from reuse_queue.broker.connection import Connection
from reuse_queue.broker.queue import JobQueue
from reuse_queue.ends import NamedCallback, When
from reuse_queue.facts import Death
from reuse_queue.job import ClaimedJob, NewJob, Outcome, Priority, Recorded, Terms, Verdict
from support import ledger
from support.site import ENV, Site, outcome

REPLICAS = ("r1", "r2", "r3")
replicas = st.sampled_from(REPLICAS)
flags = st.booleans()
_FATES = (None, Verdict.FAILED, Verdict.CANCELED)
_VERDICTS = (Verdict.FINISHED, Verdict.FAILED, Verdict.CANCELED)
ENDS = {"finished", "failed"}
TOLD = {when: NamedCallback(name=f"app.{when}") for when in (When.FAILURE, When.STOPPED)}


def death_of(name: str) -> Death:
    return Death(
        replica=name,
        host="h1",
        version="v1",
        at=datetime.now(UTC),
        cause="killed",
        was_ready=True,
        age=timedelta(seconds=1),
    )


def ended(job: ClaimedJob, verdict: Verdict, **more: Any) -> Outcome:
    """Return how a replica ends the job, as it wishes unless that has been decided before."""
    if job.decided is not None:
        verdict, more["retry"] = job.decided.verdict, job.decided.retry
    return outcome(job, verdict, **more)


class History(RuleBasedStateMachine):
    """Applications, replicas, agents and a leader at work, in any order."""

    def __init__(self, connection: Connection, raw: redis.Redis) -> None:
        super().__init__()
        raw.flushall()
        self.site = Site(connection, raw)
        self.queue = JobQueue(connection.keys)
        self.ids: list[str] = []
        self.held: dict[str, list[ClaimedJob]] = {name: [] for name in REPLICAS}
        """What each replica believes to hold, whether it still does or not."""
        self.stale: set[str] = set()
        self.before = ledger.Ledger()

    def run(self, step: Any) -> Any:
        return self.site.connection.run(step)

    @initialize()
    def start(self) -> None:
        for name in REPLICAS:
            self.site.replica(name)
        self.ids = [f"j{n}" for n in range(8)]
        self.run(
            self.queue.enqueue(
                ENV,
                [
                    self.new(i, retries=n % 3, callbacks=TOLD if n % 2 else None)
                    for n, i in enumerate(self.ids)
                ],
            )
        )

    @staticmethod
    def new(job_id: str, **options: Any) -> NewJob:
        return NewJob(id=job_id, data=b"x", terms=Terms(description="", **options))

    # -- applications and operators ---------------------------------------------------------

    @rule(
        count=st.integers(1, 4),
        urgent=flags,
        once=flags,
        retries=st.sampled_from([0, 2]),
        wait=st.sampled_from([0, 9]),
        delayed=flags,
        told=flags,
    )
    def enqueue(
        self,
        *,
        count: int,
        urgent: bool,
        once: bool,
        retries: int,
        wait: int,
        delayed: bool,
        told: bool,
    ) -> None:
        """Enqueue jobs, all `told` if they have callbacks for ends that are no successes."""
        jobs = [
            self.new(
                f"j{len(self.ids) + n}",
                priority=Priority.HIGH if urgent else Priority.NORMAL,
                retries=retries,
                retry_delays=(timedelta(seconds=wait),),
                redeliver=not once,
                delay=timedelta(hours=1) if delayed else None,
                callbacks=TOLD if told else None,
            )
            for n in range(count)
        ]
        self.ids += [job.id for job in jobs]
        assert self.run(self.queue.enqueue(ENV, jobs)) == count
        assert self.run(self.queue.enqueue(ENV, jobs)) == 0

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def enqueue_dependent(self, data: st.DataObject) -> None:
        there = [each for each in self.ids if each in self.before.statuses]
        if there:
            parents = data.draw(st.lists(st.sampled_from(there), min_size=1, max_size=2))
            self.ids.append(f"j{len(self.ids)}")
            stock = Queue(ENV, connection=self.site.raw, serializer="json")
            stock.enqueue("app.f", job_id=self.ids[-1], depends_on=sorted(set(parents)))

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(self.ids), min_size=1, max_size=3))
        self.stale.update(each for each in ids if self.before.waiting[each])
        self.run(self.queue.cancel(ids))

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(self.ids), min_size=1, max_size=3))
        self.run(self.queue.requeue(ids))

    @rule()
    def time_comes(self) -> None:
        scheduled = self.site.registry("scheduled")
        for job_id in scheduled:
            self.site.raw.zadd(self.site.keys.registry("scheduled", ENV), {job_id: 1})
        assert self.run(self.queue.due(ENV)) == len(scheduled)

    # -- replicas ---------------------------------------------------------------------------

    @rule(name=replicas)
    def is_given_an_id_while_idle(self, name: str) -> None:
        keys = self.site.keys
        self.site.raw.lmove(keys.queue(ENV), keys.waiting(ENV, name), "LEFT", "RIGHT")

    @rule(name=replicas)
    def is_given_an_id_that_is_canceled_before_the_claim(self, name: str) -> None:
        self.is_given_an_id_while_idle(name)
        ids = self.site.raw.lrange(self.site.keys.waiting(ENV, name), 0, -1)
        self.run(self.queue.cancel([each.decode() for each in ids]))
        self.claim(name, 1)

    @rule(name=replicas, count=st.integers(1, 4))
    def claim(self, name: str, count: int) -> None:
        self.held[name] += self.site.claim(name, count)

    @rule(name=replicas)
    def claim_unheard(self, name: str) -> None:
        self.site.claim(name, 1)

    @precondition(lambda self: any(self.held.values()))
    @rule(verdict=st.sampled_from(_VERDICTS), kept=flags, data=st.data())
    def finish(self, verdict: Verdict, *, kept: bool, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([each for each in REPLICAS if self.held[each]]))
        believed = self.held[name]
        ending = data.draw(
            st.lists(st.sampled_from(believed), min_size=1, unique_by=lambda job: job.execution)
        )
        ttl = timedelta(seconds=500) if kept else timedelta(0)
        said = self.site.finish(*(ended(j, verdict, result_ttl=ttl) for j in ending), name=name)
        for job, recorded in zip(ending, said, strict=True):
            mine = f"{job.id}:{job.execution}" in self.before.leases
            assert mine == (recorded is not Recorded.LOST)
        again = self.site.finish(*(ended(job, verdict) for job in ending), name=name)
        assert set(again) == {Recorded.LOST}
        self.held[name] = [job for job in believed if job not in ending]

    @rule(name=replicas, named=flags)
    def give_back(self, name: str, *, named: bool) -> None:
        """What it named and no longer held is left alone; what it never heard of goes back."""
        believed, leases = [job.execution for job in self.held[name]], self.site.leases
        if named:
            self.run(leases.release(name, believed[:1]))
            self.held[name] = self.held[name][1:]
        else:
            self.run(leases.release(name, known=believed))

    # -- agents and the leader --------------------------------------------------------------

    @rule(name=replicas, fate=st.sampled_from(["asked", "lease ran out", *_FATES]), alive=flags)
    def replica_ends(self, name: str, fate: str | Verdict | None, *, alive: bool) -> None:
        """A new one starts in its name; the old process, if alive, believes what it believed."""
        running = [job.execution for job in self.held[name]]
        if fate == "lease ran out":
            self.site.raw.zadd(self.site.keys.replicas(ENV), {name: 1}, xx=True)
            assert self.run(self.site.leases.reclaim()) == [name]
        elif fate == "asked":
            self.run(self.site.leases.end_replica(death_of(name), {}, asked=True))
        else:
            verdict = fate if isinstance(fate, Verdict) else None
            fates = dict.fromkeys(running[:2], verdict)
            self.run(self.site.leases.end_replica(death_of(name), fates))
            if verdict is not None:
                self.check_told(name, self.held[name][:2])
        self.site.replica(name)
        if not alive:
            self.held[name] = []

    @rule(name=replicas, verdict=st.sampled_from([Verdict.FAILED, Verdict.CANCELED]))
    def is_killed_for_what_it_claims(self, name: str, verdict: Verdict) -> None:
        self.replica_ends(name, "asked", alive=False)
        self.claim(name, 2)
        self.before = ledger.read(self.site.raw)
        self.replica_ends(name, verdict, alive=False)

    def check_told(self, name: str, killed: list[ClaimedJob]) -> None:
        """What names something to be called at its end has not ended before that, but once."""
        for job in killed:
            if job.callbacks and f"{job.id}:{job.execution}" in self.before.leases:
                waits = "reuse_decided" in self.site.job(job.id)
                assert waits == (job.decided is None), (name, job)

    # -- whatever happened ------------------------------------------------------------------

    @invariant()
    def every_job_is_in_one_place_and_has_one_result_for_each_end(self) -> None:
        now = ledger.read(self.site.raw)
        now.check(self.stale)
        for kind in ENDS:
            assert now.totals[kind] >= self.before.totals[kind]
        for job_id in now.statuses:
            added = now.results[job_id] - self.before.results[job_id]
            status, earlier = now.statuses[job_id], self.before.statuses.get(job_id)
            assert added == (status in ENDS and status != earlier), (job_id, earlier, status)
            if (earlier, status) == ("deferred", "queued"):
                known = {now.statuses.get(parent) for parent in now.parents[job_id]}
                assert known <= {"finished", None}, job_id
        self.before = now

    def teardown(self) -> None:
        """When nothing goes wrong any more, everything comes to its end."""
        for name in REPLICAS:
            self.site.raw.zadd(self.site.keys.replicas(ENV), {name: 1}, xx=True)
        self.run(self.site.leases.reclaim())
        self.site.replica("r1")
        self.time_comes()
        while jobs := self.site.claim("r1", 100):
            self.site.finish(*(ended(job, Verdict.FINISHED) for job in jobs))
            # What had been killed fails now, and may be tried again.
            self.time_comes()
        left = ledger.read(self.site.raw)
        left.check(self.stale)
        assert not left.listed + left.waiting
        assert not left.leases | left.executions | left.running
        assert set(left.statuses.values()) <= ENDS | {"canceled", "deferred"}
        assert sum(left.results.values()) >= sum(left.ended[kind] for kind in ENDS)
        assert sum(left.totals.values()) >= sum(left.results.values())


@pytest.mark.timeout(300)  # a few seconds, but a failure is made small first
def test_no_history_loses_doubles_or_strands_a_job(
    connection: Connection, raw: redis.Redis
) -> None:
    run_state_machine_as_test(
        lambda: History(connection, raw),  # type: ignore[arg-type]  # a factory will do
        settings=hypothesis_settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
