"""Whatever happens in whatever order, every job is in one place, and its status says which."""

import random
from collections.abc import Callable

import pytest

from reuse_queue.job import ClaimedJob, Verdict
from support.site import ENV, Site, canceled, failed, finished

STEPS = 80
REGISTRIES = ("finished", "failed", "canceled", "scheduled")


class Play:
    """One random history of one environment."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site = site
        self.chance = random.Random(seed)
        self.live: list[str] = []
        self.made = 0
        self.jobs: list[str] = []
        self.claimed: dict[str, list[ClaimedJob]] = {}
        """What each replica believes to hold, those that are off the books included."""
        self.moves: list[Callable[[], None]] = [
            *(self.start, self.enqueue, self.claim, self.claim, self.finish, self.finish),
            *(self.wait, self.release, self.order_cancel, self.die, self.lapse, self.let_due_in),
        ]

    def start(self) -> None:
        if len(self.live) < 4:
            self.made += 1
            name = self.site.replica(f"r{self.made}")
            self.live.append(name)
            self.claimed[name] = []

    def enqueue(self) -> None:
        ids = [f"j{len(self.jobs) + n}" for n in range(self.chance.randint(1, 5))]
        once = {"reuse_once": 1} if self.chance.random() < 0.2 else {}
        intervals = self.chance.choice(["[0]", "[60]", "[0, 60]"])
        self.site.enqueue(*ids, retries_left=2, retry_intervals=intervals, **once)
        self.jobs += ids

    def wait(self) -> None:
        for name in self.chance.sample(self.live, min(1, len(self.live))):
            # As the first half of a wait does, whose second half never comes.
            queue, waiting = self.site.keys.queue(ENV), self.site.keys.waiting(ENV, name)
            self.site.raw.lmove(queue, waiting, "LEFT", "RIGHT")

    def claim(self) -> None:
        for name in self.chance.sample([*self.claimed], min(1, len(self.claimed))):
            jobs = self.site.claim(name, self.chance.randint(1, 4))
            # Now and then the reply is lost.
            if self.chance.random() < 0.8:
                self.claimed[name] += jobs

    def finish(self) -> None:
        """Any replica reports some of what it believes to hold, perhaps for the second time."""
        for name, held in self.claimed.items():
            some = self.chance.sample(held, min(len(held), self.chance.randint(0, 3)))
            ends = [self.chance.choice((finished, finished, failed, canceled))(job) for job in some]
            self.site.finish(*ends, name=name)

    def release(self) -> None:
        for name in self.chance.sample([*self.claimed], min(1, len(self.claimed))):
            held = [job.execution for job in self.claimed[name]]
            known = self.chance.sample(held, len(held) // 2)
            self.site.connection.run(self.site.leases.release(name, known=known))

    def order_cancel(self) -> None:
        for name in self.chance.sample(self.live, min(1, len(self.live))):
            for job in self.claimed[name][-1:]:
                self.site.raw.sadd(self.site.keys.cancels(ENV, name), job.execution)

    def die(self) -> None:
        if self.live:
            name = self.live.pop(self.chance.randrange(len(self.live)))
            verdicts = (None, None, Verdict.FAILED, Verdict.CANCELED)
            running = {
                job.execution: self.chance.choice(verdicts)
                for job in self.claimed[name]
                if self.chance.random() < 0.7
            }
            self.site.end(name, running)

    def lapse(self) -> None:
        if self.live and self.chance.random() < 0.5:
            name = self.live.pop(self.chance.randrange(len(self.live)))
            self.site.raw.zadd(self.site.keys.replicas(ENV), {name: 1})
            assert self.site.connection.run(self.site.leases.reclaim()) == [name]

    def let_due_in(self) -> None:
        for job_id in self.site.registry("scheduled"):
            self.site.raw.zrem(self.site.keys.registry("scheduled", ENV), job_id)
            self.site.raw.hset(self.site.keys.job(job_id), "status", "queued")
            self.site.raw.rpush(self.site.keys.queue(ENV), job_id)

    def check(self) -> None:
        """Hold every job against every place that a job can be in."""
        site, places = self.site, dict[str, list[str]]()
        waiting = [site.raw.lrange(site.keys.waiting(ENV, name), 0, -1) for name in self.claimed]
        queued = site.queue() + [each.decode() for ids in waiting for each in ids]
        holds = {name: site.raw.smembers(site.keys.worker_executions(name)) for name in self.live}
        started = [member for members in holds.values() for member in members]
        assert sorted(started) == sorted(each.encode() for each in site.registry("wip"))
        for place, ids in {
            "queued": queued,
            "started": [member.decode().partition(":")[0] for member in started],
            **{kind: [*site.registry(kind)] for kind in REGISTRIES},
        }.items():
            for job_id in ids:
                places.setdefault(job_id, []).append(place)
        assert places == {job_id: [site.status(job_id)] for job_id in self.jobs}
        for job_id in self.jobs:
            ended = site.status(job_id) in {"finished", "failed"}
            assert len(site.results(job_id)) == int(ended), job_id
        for name, members in holds.items():
            assert site.raw.zscore(site.keys.held(ENV), name) in {None, len(members)}
        assert len(site.traces()) == len(started) * 3 + sum(map(bool, holds.values()))


@pytest.mark.parametrize("seed", range(12))
def test_every_job_is_in_one_place_after_any_history(site: Site, seed: int) -> None:
    play = Play(site, seed)
    play.live, play.claimed = ["r1"], {"r1": []}
    play.made = 1
    for _ in range(STEPS):
        play.chance.choice(play.moves)()
        play.check()
