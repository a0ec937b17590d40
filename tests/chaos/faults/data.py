"""Faults of data: hashes of jobs that no sane program has written, and ids of which there is none.

What must become of each is known (`kinds.KINDS`); who hands them in knows nothing of the ledger,
so they are noted here.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from chaos.faults import Fault, Harm
from chaos.fleet import Fleet
from support import odd_jobs

_ENV = "main"
_TASK = b"chaos.app.quick"
_SOUND = b'["chaos.app.quick", null, ["odd fields"], {}]'
# Whatever is in these, it is for people, or of no meaning to a job that succeeds.
_IDLE = {
    "created_at": odd_jobs.TIMES,
    "enqueued_at": odd_jobs.TIMES,
    "started_at": odd_jobs.TIMES,
    "ended_at": odd_jobs.TIMES,
    "description": odd_jobs.NAMES,
    "worker_name": odd_jobs.NAMES,
    "meta": odd_jobs.NAMES,
    "retry_intervals": odd_jobs.LISTS,
    "repeat_intervals": odd_jobs.LISTS,
    "success_callback_timeout": odd_jobs.NUMBERS,
    "enqueue_at_front_on_retry": odd_jobs.NUMBERS,
    "unheard of": odd_jobs.NAMES,
}
# A long text is a sound call here: the task takes a text.
SPOILT = [each for each in odd_jobs.PAYLOADS if b'["xxx' not in each]
_AT_ONCE = 4


@dataclass(kw_only=True)
class WriteOddJobs(Fault):
    """Some jobs that cannot run, some that look odd and can, and an id of no job at all."""

    name = "odd jobs written into a queue"
    uses = frozenset({"redis"})

    def inject(self, fleet: Fleet, rng: random.Random) -> Harm:
        # The application reads where it is when it is imported.
        from chaos.environments import ledger

        jobs = [("odd payload", _spoilt(rng)) for _ in range(_AT_ONCE)]
        jobs += [("odd fields", dict(_odd(rng))) for _ in range(_AT_ONCE)]
        rng.shuffle(jobs)
        named = [(f"odd-{rng.getrandbits(64):016x}", kind, fields) for kind, fields in jobs]
        # All of them or none: nobody else's Redis goes away now.
        pipe = fleet.raw.pipeline(transaction=True)
        for job, _, fields in named:
            pipe.hset(f"rq:job:{job}", mapping=_SAID | fields)
            pipe.rpush(f"rq:queue:{_ENV}", job)
        pipe.rpush(f"rq:queue:{_ENV}", f"none-{rng.getrandbits(64):016x}")
        pipe.execute()
        for job, kind, _ in named:
            ledger.accepted(job, kind)
        return Harm(what=_ENV)


_SAID = {"origin": _ENV, "status": "queued", "timeout": "60", "result_ttl": "86400"}


def _spoilt(rng: random.Random) -> dict[str, bytes]:
    payload = rng.choice(SPOILT).replace(odd_jobs.TASK.encode(), _TASK)
    return {"data": payload if rng.random() < 1 / 2 else zlib.compress(payload)}


def _odd(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    yield "data", zlib.compress(_SOUND)
    for field in rng.sample(sorted(_IDLE), _AT_ONCE):
        yield field, rng.choice(_IDLE[field])
