"""together: many steps in the round trips of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from reuse_queue.broker.connection import Command, Request, Step

T = TypeVar("T")


def together(steps: Sequence[Step[T]]) -> Step[list[T]]:
    """Run steps side by side, their requests in one pipeline each time; return their results."""
    results: dict[int, T] = {}
    replies: dict[int, Any] = dict.fromkeys(range(len(steps)))
    while len(results) < len(steps):
        requests: dict[int, Request] = {}
        for at, reply in replies.items():
            try:
                requests[at] = steps[at].send(reply)
            except StopIteration as stop:
                results[at] = stop.value
        replies = {}
        if requests:
            answers = iter(
                (yield [each for request in requests.values() for each in _all(request)])
            )
            for at, request in requests.items():
                taken = [next(answers) for _ in _all(request)]
                replies[at] = taken[0] if isinstance(request, Command) else taken
    return [results[at] for at in range(len(steps))]


def _all(request: Request) -> Sequence[Command]:
    return (request,) if isinstance(request, Command) else request
