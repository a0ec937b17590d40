"""Callbacks: an environment's functions that jobs may name, to be called when they end."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar, overload

from reuse_queue.ends import NamedCallback, When
from reuse_queue.errors import UnknownCallback
from reuse_queue.origin import dotted_name

CallbackFunction: TypeAlias = "Callable[..., Any]"
F = TypeVar("F", bound=CallbackFunction)

TIMEOUT = timedelta(seconds=60)
"""How long a callback may run where nobody says (as rq has it)."""
CALLED_WITH = {
    When.SUCCESS: ("job", "connection", "result"),
    When.FAILURE: ("job", "connection", "type", "value", "traceback"),
    When.STOPPED: ("job", "connection"),
}
"""What callbacks are called with, which is what rq calls its own with."""


@dataclass(frozen=True, slots=True)
class Callback:
    """A function that jobs may name."""

    name: str
    """Its dotted name."""
    function: CallbackFunction
    timeout: timedelta | None
    """How long it may run if the job doesn't say; None for no limit."""

    @property
    def is_async(self) -> bool:
        """Whether it is a coroutine function."""
        return inspect.iscoroutinefunction(self.function)


class CallbackDecorator:
    """Adds functions to an environment's callbacks; `@env.callback` or `@env.callback(timeout=9)`.

    Args:
        environment: the environment's name.
        limit: turns what is given as `timeout` into a duration, or refuses it.
    """

    def __init__(self, environment: str, limit: Callable[[str, object], timedelta | None]) -> None:
        self.found: dict[str, Callback] = {}
        """The callbacks by their functions' dotted names."""
        self._environment = environment
        self._limit = limit

    @overload
    def __call__(self, function: F, /) -> F: ...

    @overload
    def __call__(self, /, *, timeout: float | timedelta | None = ...) -> Callable[[F], F]: ...

    def __call__(
        self, function: F | None = None, /, *, timeout: float | timedelta | None = TIMEOUT
    ) -> F | Callable[[F], F]:
        """Register a module's function, plain or async, and return it as it is.

        Raises:
            ValueError: the name is taken, a replica could not import it, or the timeout is none.
            TypeError: it is no function.
        """
        limit = self._limit("timeout", timeout)
        if function is None:
            return lambda function: self._add(function, limit)
        return self._add(function, limit)

    def _add(self, function: F, limit: timedelta | None) -> F:
        name = dotted_name(function, "callback")
        if name in self.found:
            raise ValueError(f"environment {self._environment} has a callback {name} already")
        self.found[name] = Callback(name, function, limit)
        return function


def checked(name: str, value: Any) -> CallbackFunction | None:
    """Return what is given for a task's `on_success`, `on_failure` or `on_stopped`.

    Raises:
        ValueError: it is no function, or cannot be called as such a callback is.
    """
    if value is None:
        return None
    if not inspect.isfunction(value):
        raise ValueError(
            f"{name} must be a function that is registered with @env.callback, got {value!r}"
        )
    words = CALLED_WITH[When(name.removeprefix("on_"))]
    try:
        inspect.signature(value).bind(*words)
    except TypeError as error:
        raise ValueError(
            f"{name} is called with ({', '.join(words)}), which {value.__qualname__} cannot take: "
            f"{error}"
        ) from error
    return value


def named(
    environment: str, known: Mapping[str, Callback], wanted: Mapping[When, CallbackFunction | None]
) -> dict[When, NamedCallback] | None:
    """Return how a job names these callbacks; None for none.

    Raises:
        UnknownCallback: one is not registered on the environment.
    """
    found: dict[When, NamedCallback] = {}
    for when, function in wanted.items():
        if function is not None:
            callback = known.get(dotted_name(function, "callback"))
            if callback is None:
                raise UnknownCallback(
                    f"on_{when}: {function.__qualname__} is not a callback of environment "
                    f"{environment}: put @env.callback above it"
                )
            found[when] = NamedCallback(name=callback.name, timeout=callback.timeout)
    return found or None


def check_known(
    environment: str, known: Mapping[str, Callback], wanted: Mapping[When, NamedCallback]
) -> None:
    """Do nothing if all callbacks that a job names are registered on the environment.

    Raises:
        UnknownCallback: one is not.
    """
    for when, callback in wanted.items():
        if callback.name not in known:
            raise UnknownCallback(
                f"environment {environment} has no callback {callback.name!r}, which the job names "
                f"as its on_{when}: put @env.callback above that function"
            )
