"""Functions, callbacks and handlers of an application that uses rq."""

import asyncio
import os
import threading
import time
from typing import Any

from rq import Retry, get_current_job

RUNS = "runs"
"""A list in Redis: what ran, in order."""


def note(word: str) -> str:
    job = get_current_job()
    assert job is not None
    job.connection.rpush(RUNS, word)
    return word


def broken(word: str = "broken") -> None:
    note(word)
    raise ValueError("broken on purpose")


def slow(seconds: float = 30) -> None:
    note("slow began")
    time.sleep(seconds)


def stubborn() -> None:
    """Let no exception end it, but tell of its end."""
    try:
        while True:
            try:
                slow()
            except Exception:  # noqa: BLE001
                continue
    finally:
        note("stubborn gave way")


async def patient(word: str) -> str:
    await asyncio.sleep(0)
    return note(word)


async def slow_coroutine() -> None:
    try:
        await asyncio.sleep(30)
    finally:
        note("finally")


def same(value: object) -> object:
    return value


def unserialisable() -> object:
    return threading.Lock()


def again(times: int, interval: int | list[int] = 0, *, first: bool = False) -> Retry:
    note("again")
    return Retry(max=times, interval=interval, enqueue_at_front=first)


def leave_meta(**meta: object) -> None:
    job = get_current_job()
    assert job is not None
    job.meta.update(meta)
    job.save_meta()


def enqueue_another(word: str) -> None:
    from rq import Queue

    job = get_current_job()
    assert job is not None
    Queue(job.origin, connection=job.connection).enqueue(note, word, job_id=word)


def die() -> None:
    os._exit(9)


def cancel_itself(word: str, *, fail: bool = False) -> str:
    """Be canceled by somebody while it runs; as good as by another process."""
    job = get_current_job()
    assert job is not None
    job.cancel()
    if fail:
        broken(word)
    return note(word)


def delete_itself(word: str) -> str:
    job = get_current_job()
    assert job is not None
    job.delete()
    return note(word)


# -- callbacks and handlers -----------------------------------------------------------------


def on_success(job: Any, connection: Any, result: object) -> None:
    connection.rpush(RUNS, f"success: {job.id} {job.get_status(refresh=False)} {result}")


def on_failure(job: Any, connection: Any, kind: type, error: object, trace: object) -> None:
    connection.rpush(RUNS, f"failure: {job.id} {kind.__name__} {error}")


def on_stopped(job: Any, connection: Any) -> None:
    connection.rpush(RUNS, f"stopped: {job.id}")


def broken_callback(*_: object) -> None:
    raise RuntimeError("the callback is broken")


async def async_callback(*_: object) -> None:
    return None


def saving_handler(job: Any, *_: object) -> None:
    job.meta["handled"] = True
    job.save()
