"""Wait for a condition, never for a time."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    probe: Callable[[], Coroutine[Any, Any, T | None]], *, within: float = 10.0, what: str = ""
) -> T: ...


@overload
async def eventually(
    probe: Callable[[], T | None], *, within: float = 10.0, what: str = ""
) -> T: ...


async def eventually(probe: Callable[[], Any], *, within: float = 10.0, what: str = "") -> Any:
    """Return the first true value of `probe()`; fail, saying the last value, when none comes."""
    gives_up = time.monotonic() + within
    while True:
        value = probe()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > gives_up:
            raise AssertionError(f"{what or 'it'} did not happen within {within} s: {value!r}")
        await asyncio.sleep(0.01)


def eventually_sync(probe: Callable[[], T], *, within: float = 10.0, what: str = "") -> T:
    """The same for tests without a loop."""
    gives_up = time.monotonic() + within
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > gives_up:
            raise AssertionError(f"{what or 'it'} did not happen within {within} s: {value!r}")
        time.sleep(0.01)
