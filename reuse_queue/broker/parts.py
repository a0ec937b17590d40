"""Parts: jobs by their environments, so many at a time as one script may take."""

from __future__ import annotations

from collections.abc import Iterator

from reuse_queue.broker import codec
from reuse_queue.broker.connection import Value


def parts_of(
    jobs: dict[str, list[bytes | None]], most: int
) -> Iterator[tuple[str, list[tuple[str, list[bytes]]]]]:
    """Yield environments with at most so many of their jobs, each job once, with its fields."""
    by_env: dict[str, list[tuple[str, list[bytes]]]] = {}
    for job_id, (origin, *fields) in jobs.items():
        if origin is not None:
            part = by_env.setdefault(codec.name(origin), [])
            part.append((job_id, [field or b"" for field in fields]))
    for env, part in by_env.items():
        for at in range(0, len(part), most):
            yield env, part[at : at + most]


def words_of(part: list[tuple[str, list[bytes]]]) -> Iterator[Value]:
    """Yield each job's id, and behind it its fields."""
    for job_id, fields in part:
        yield job_id
        yield from fields
