"""Jobs as no sane program writes them, given to a replica: each ends, and the replica goes on."""

import asyncio
from typing import Any

import redis
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from integration.worker.conftest import Lab, name_of
from reuse_queue import Settings
from reuse_queue.broker.queue import JobQueue
from reuse_queue.cli import commands
from support import odd_jobs
from support.eventually import eventually


async def task(value: int = 0) -> int:
    return value


FEW = settings(
    max_examples=25,
    deadline=None,
    # A smaller batch that hangs is worth less than the time that it takes to find it.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
BATCHES = st.dictionaries(odd_jobs.ids, odd_jobs.jobs, min_size=5, max_size=20)
EVERY_PAYLOAD = {
    b"job-%d" % number: {"status": b"queued", "origin": b"lab", "data": data}
    for number, data in enumerate(odd_jobs.PAYLOADS)
}


async def run(lab: Lab, found: dict[bytes, dict[str, bytes]]) -> None:
    async with lab.replica() as replica:
        connection = replica.daemon._steps.connection

        async def over() -> bool:
            # As the scaler does, for what is past its own limits.
            await connection.arun(JobQueue(connection.keys).due("lab"))
            left = lab.raw.llen("rq:queue:lab") + lab.raw.zcard("rq:wip:lab") + lab.held()
            return not left and not odd_jobs.unended(lab.raw, found)

        try:
            await eventually(over, within=20)
        except AssertionError:
            left = odd_jobs.unended(lab.raw, found)
            raise AssertionError({each: (left[each], found[each]) for each in left}) from None
        assert not replica.done
        replica.daemon.stop()
        assert await replica.code() == 0


@FEW
@given(BATCHES)
@example(EVERY_PAYLOAD)
def test_every_odd_job_ends_and_the_replica_goes_on(lab: Lab, found: dict[bytes, dict[str, bytes]]):
    lab.raw.flushall()
    lab.serve(task)
    odd_jobs.write(lab.raw, "lab", found, name_of(task))
    asyncio.run(run(lab, found))


@FEW
@given(BATCHES, st.dictionaries(st.binary(min_size=1, max_size=8), st.binary(max_size=20)))
def test_commands_show_odd_jobs_and_records_as_far_as_they_can(
    raw: redis.Redis,
    settings: Settings,
    found: dict[bytes, dict[str, bytes]],
    record: dict[bytes, bytes],
):
    raw.flushall()
    odd_jobs.write(raw, "lab", found, "app.task")
    mapping: Any = {b"policy": b"\xff", b"tasks": b"[" * 5000, b"override": b"9,x", **record}
    raw.hset("reuse:{lab}:environment", mapping=mapping)
    raw.sadd("reuse:environments", "lab", b"odd\xff\x1b[31m")
    junk: Any = {b"decision": b"\xff", b"cause": b"\xff\x1b[31m", b"age": b"9" * 400, b"at": b"nan"}
    for stream in ("decisions", "deaths"):
        raw.xadd(f"reuse:{{lab}}:{stream}", junk)
    raw.zadd("reuse:hosts", {b"host\xff": 1e15})
    raw.hset(b"reuse:host:host\xff", mapping={b"offers": b"[", b"broken": b'{"lab": 3}'})
    raw.zadd("reuse:{lab}:replicas", {b"r\xff": 1e15})
    raw.hset(b"reuse:{lab}:replica:r\xff", mapping={b"state": b"ready", b"ordered_at": b"9" * 30})
    raw.zadd("rq:scheduled:lab", dict.fromkeys(found, float("inf")))
    raw.set("rq:finished:lab", "no sorted set")

    def told(*words: str) -> str:
        done = CliRunner().invoke(
            commands, [*words[:2], "--redis-url", settings.redis_url, *words[2:]]
        )
        assert done.exit_code in {0, 1, 3, 4}, (words, done.output, done.exc_info)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        assert "\x1b" not in done.output
        return done.output

    for words in (
        ("env", "list"),
        ("env", "show", "lab"),
        ("explain", "lab"),
        ("replicas", "list"),
    ):
        told(*words)
        told(*words, "--json")
    assert "rq:finished:lab" in told("doctor", "--json")
    for status in ("queued", "scheduled"):
        told("jobs", "list", "lab", "--status", status)
        told("jobs", "list", "lab", "--status", status, "--json")
    for job_id in list(found)[:3]:
        told("jobs", "show", "--", job_id.decode(errors="surrogateescape"))
