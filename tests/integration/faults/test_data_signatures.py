"""Replicas with signing keys run what somebody with one of them has enqueued, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest
import redis
import rq
import structlog

from integration.worker.conftest import Lab
from reuse_queue import InvalidSettings, JobHandle, RedisUnavailable, Settings, TaskFailed
from reuse_worker.rq_worker import ReuseWorker
from support.eventually import eventually

OLD, NEW = f"2025:{'o' * 32}", f"2026:{'n' * 32}"


async def add(a: int, b: int) -> int:
    return a + b


tries: list[int] = []


async def fails_once() -> int:
    tries.append(1)
    if len(tries) == 1:
        raise ValueError("not yet")
    return len(tries)


@pytest.fixture
def signing(lab: Lab) -> Lab:
    """A lab whose replicas have two keys."""
    lab.settings = replace(lab.settings, signing_keys=f"{NEW},{OLD}")
    lab.serve(add, fails_once)
    return lab


async def result(lab: Lab, job_id: str) -> Any:
    reader = Lab(lab.raw, lab.settings)
    reader.env.bind(lab.settings)
    try:
        return await JobHandle(reader.env, job_id).aresult(timeout=20)
    finally:
        await reader.env.connection.aclose()


def enqueue(lab: Lab, keys: str, *args: Any, task: str = "add", **options: Any) -> JobHandle[Any]:
    """Enqueue as an application with these keys does."""
    other = Lab(lab.raw, replace(lab.settings, signing_keys=keys))
    other.serve(add, fails_once)
    other.env.bind(other.settings)
    handle = other.env.lookup(f"{__name__}.{task}").override(**options).enqueue(*args)
    other.env.connection.close()
    return handle


def field(lab: Lab, job_id: str, name: str) -> bytes:
    found: Any = lab.raw.hget(f"rq:job:{job_id}", name)
    assert isinstance(found, bytes)
    return found


async def refused(lab: Lab, job_id: str) -> str:
    """Return why a job was not run."""
    with pytest.raises(TaskFailed) as failure:
        await result(lab, job_id)
    assert "reuse_queue.errors.InvalidSignature" in failure.value.traceback
    return str(failure.value)


async def test_jobs_that_either_key_has_signed_run(signing: Lab):
    jobs = [enqueue(signing, keys, number, 1) for number, keys in enumerate([NEW, OLD, OLD, NEW])]
    async with signing.replica():
        assert [await result(signing, job.id) for job in jobs] == [1, 2, 3, 4]


async def test_what_is_unsigned_forged_or_transplanted_fails_unread(signing: Lab):
    unsigned = enqueue(signing, "", 1, 1)
    stock = signing.enqueue(add, 1, 1)
    forged = enqueue(signing, f"2026:{'x' * 32}", 1, 1)
    genuine = enqueue(signing, NEW, 1, 1)
    source, target = f"rq:job:{genuine.id}", "rq:job:copy"
    signing.raw.copy(source, target)
    # Not even zlib: whoever looked would fail with another error.
    altered = enqueue(signing, NEW, 1, 1)
    signing.raw.hset(f"rq:job:{altered.id}", "data", b"\x78\x9c not what was signed")
    signing.raw.rpush("rq:queue:lab", "copy")
    with structlog.testing.capture_logs() as logs:
        async with signing.replica():
            says = "is not signed, and the replicas of lab run only what is"
            assert says in await refused(signing, unsigned.id)
            assert says in await refused(signing, stock.id)
            assert "another secret named '2026'" in await refused(signing, forged.id)
            assert "signed for another job" in await refused(signing, "copy")
            assert "payload was changed" in await refused(signing, altered.id)
            assert await result(signing, genuine.id) == 2
    assert not [each for each in logs if "n" * 32 in str(each)]


async def test_a_job_of_another_environment_is_refused(signing: Lab):
    job = enqueue(signing, NEW, 1, 1)
    signature, data = (field(signing, job.id, each) for each in ("reuse_signature", "data"))
    # The same id, from an environment that the same keys serve.
    other = replace(signing.settings, signing_keys=NEW)
    assert signature.startswith(b"1:2026:")
    signing.env.name = "moved"
    signing.raw.hset(f"rq:job:{job.id}", mapping={"origin": "moved", "data": data})
    signing.raw.lmove("rq:queue:lab", "rq:queue:moved")
    signing.settings = other
    async with signing.replica():
        assert "signed for another job or environment" in await refused(signing, job.id)


async def test_a_signed_job_may_be_retried(signing: Lab):
    tries.clear()
    job = enqueue(signing, NEW, task="fails_once", retries=1, backoff=None)
    async with signing.replica():
        assert await result(signing, job.id) == 2


async def test_without_keys_nothing_is_signed_and_signatures_are_no_matter(lab: Lab):
    lab.serve(add)
    signed, unsigned = enqueue(lab, NEW, 1, 1), enqueue(lab, "", 2, 2)
    assert lab.raw.hget(f"rq:job:{unsigned.id}", "reuse_signature") is None
    async with lab.replica():
        assert await result(lab, signed.id) == 2
        assert await result(lab, unsigned.id) == 4


def test_rqs_tools_put_a_signed_job_back_and_it_still_runs_here(signing: Lab):
    job = enqueue(signing, NEW, 1, 1)
    before = field(signing, job.id, "data"), field(signing, job.id, "reuse_signature")
    found = rq.job.Job.fetch(job.id, connection=signing.raw, serializer="json")
    found.save()
    assert (field(signing, job.id, "data"), field(signing, job.id, "reuse_signature")) == before


def test_the_drop_in_says_that_it_cannot_check_signatures(
    raw: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REUSE_QUEUE_SIGNING_KEYS", NEW)
    with pytest.raises(InvalidSettings, match="who cannot sign: unset it here"):
        ReuseWorker(["lab"], connection=raw)


async def test_a_signature_that_redis_does_not_tell_costs_nothing(
    signing: Lab, monkeypatch: pytest.MonkeyPatch
):
    """The claim was answered, the question for the signature was not: the job goes back."""
    job = enqueue(signing, NEW, 1, 1)
    async with signing.replica() as replica:
        await eventually(lambda: signing.raw.exists(f"rq:results:{job.id}"))
        leases = replica.daemon._steps._leases
        asked: list[Any] = []

        def away(claim: Any) -> Any:
            if claim.jobs and len(asked) < 2:
                asked.append(claim)
                raise RedisUnavailable("lost")
            return real(claim)

        real = leases.signed
        monkeypatch.setattr(leases, "signed", away)
        other = enqueue(signing, NEW, 2, 2)
        assert await result(signing, other.id) == 4
    assert len(asked) == 2
    assert signing.raw.hget(f"rq:job:{other.id}", "reuse_losses") is None
