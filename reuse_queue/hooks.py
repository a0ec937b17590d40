"""Hooks: an application's functions that run at the start and the end of its replicas."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar, overload

HookFunction: TypeAlias = "Callable[[], Any]"
H = TypeVar("H", bound=HookFunction)


@dataclass(frozen=True, slots=True)
class Hooks:
    """An environment's hooks, in the order in which they run."""

    preload: list[HookFunction] = field(default_factory=list)
    on_start: list[HookFunction] = field(default_factory=list)
    on_stop: list[HookFunction] = field(default_factory=list)


class HookDecorator:
    """Adds functions to one list of hooks; used as `@env.on_start` or `@env.on_start()`."""

    def __init__(self, kind: str, hooks: list[HookFunction]) -> None:
        self._kind = kind
        self._hooks = hooks

    @overload
    def __call__(self, function: H, /) -> H: ...

    @overload
    def __call__(self, /) -> Callable[[H], H]: ...

    def __call__(self, function: H | None = None, /) -> H | Callable[[H], H]:
        """Register a function that takes nothing, plain or async, and return it as it is."""
        return self._add if function is None else self._add(function)

    def _add(self, function: H) -> H:
        if not callable(function):
            raise TypeError(f"{self._kind} takes a function, got a {type(function).__name__}")
        name = getattr(function, "__qualname__", repr(function))
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"{self._kind} hook {name} yields: put what is after the yield in an on_stop hook"
            )
        try:
            inspect.signature(function).bind()
        except TypeError as error:
            raise TypeError(
                f"{self._kind} hook {name} is called without arguments: {error}"
            ) from error
        self._hooks.append(function)
        return function
