"""A Redis that answers, but refuses."""

import structlog

from integration.worker.conftest import Lab
from support.eventually import eventually

PUSH = "#!lua flags=allow-oom\nreturn redis.call('RPUSH', KEYS[1], ARGV[1])"


async def touch() -> None:
    """Do nothing."""


async def test_an_idle_replica_outlives_a_redis_that_is_full(lab: Lab):
    lab.serve(touch)
    async with lab.replica() as replica:
        with structlog.testing.capture_logs() as logs:
            lab.raw.config_set("maxmemory", "1")
            try:
                await eventually(
                    lambda: [each for each in logs if each["event"] == "claim refused by Redis"]
                )
            finally:
                lab.raw.config_set("maxmemory", "0")
        assert not replica.done

        job = lab.enqueue(touch)

        await eventually(lambda: job.is_finished)


async def test_jobs_run_though_redis_is_full(lab: Lab):
    """It refuses the wait for a job, not the claim behind that: the jobs' ends make room again."""
    lab.serve(touch)
    job, queue = lab.enqueue(touch), f"rq:queue:{lab.env.name}"
    lab.raw.lrem(queue, 1, job.id)
    async with lab.replica():
        with structlog.testing.capture_logs() as logs:
            lab.raw.config_set("maxmemory", "1")
            try:
                await eventually(lambda: [each for each in logs if "refused" in each["event"]])
                lab.raw.eval(PUSH, 1, queue, job.id)

                await eventually(lambda: job.is_finished)
            finally:
                lab.raw.config_set("maxmemory", "0")
