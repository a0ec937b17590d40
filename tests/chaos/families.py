"""Tasks that call tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from chaos.environments import RESULTS_LAST_S, ledger, main, nest, noted, solo, stand_still
from reuse_queue import JobHandle, RedisRefused, TaskFailed, current_job

_FULL_S = 0.2


@main.task(result_ttl=RESULTS_LAST_S)
async def child() -> str:
    """End at once."""
    with noted("child") as execution:
        return execution


@nest.task(result_ttl=RESULTS_LAST_S)
async def parent(children: int) -> str:
    """Enqueue children and await them."""
    with noted("parent") as execution:
        _expect("child", children)
        await _awaited(lambda: child.aenqueue_many([()] * children), "child")
        return execution


@solo.task(result_ttl=RESULTS_LAST_S)
async def tree(kind: str, depth: int, width: int) -> str:
    """Await plain functions, which wait for coroutines, and so on, in the slots of all of them."""
    with noted(kind) as execution:
        if depth:
            _expect("branch", width)
            calls = [("branch", depth - 1, width)] * width
            await _awaited(lambda: plain_tree.aenqueue_many(calls), "branch")
        return execution


@solo.task(result_ttl=RESULTS_LAST_S)
def plain_tree(kind: str, depth: int, width: int) -> str:
    """Be such a function."""
    with noted(kind) as execution:
        if depth:
            _expect("branch", width)
            calls = [("branch", depth - 1, width)] * width
            for handle in _told(_handed_in(lambda: tree.enqueue_many(calls)), "branch"):
                with suppress(TaskFailed):
                    handle.result()
        return execution


def _expect(kind: str, children: int) -> None:
    job = current_job()
    assert job is not None
    ledger.unsure(kind, children, parent=job.id)


async def _awaited(hand_in: Callable[[], Awaitable[list[JobHandle[Any]]]], kind: str) -> None:
    for handle in _told(await _ahanded_in(hand_in), kind):
        # A child that was lost too often is dead; that is for the checker to judge.
        with suppress(TaskFailed):
            await handle


async def _ahanded_in(
    hand_in: Callable[[], Awaitable[list[JobHandle[Any]]]],
) -> list[JobHandle[Any]]:
    while True:
        try:
            return await hand_in()
        except RedisRefused:  # it is full, and has written none
            await asyncio.sleep(_FULL_S)


def _handed_in(hand_in: Callable[[], list[JobHandle[Any]]]) -> list[JobHandle[Any]]:
    while True:
        try:
            return hand_in()
        except RedisRefused:
            stand_still(_FULL_S)


def _told(handles: list[JobHandle[Any]], kind: str) -> list[JobHandle[Any]]:
    for handle in handles:
        ledger.accepted(handle.id, kind)
    return handles
