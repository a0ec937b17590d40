"""A Redis that answers, but refuses."""

import structlog

from integration.worker.conftest import Lab
from support.eventually import eventually


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
