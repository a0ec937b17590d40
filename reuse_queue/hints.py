"""Hint: a parameter's annotation, and how a value that came as JSON is rebuilt by it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Hint:
    """What is known of the values that one parameter takes."""

    name: str
    type: Any = Any
    """Any where there is no annotation, or none that can be used."""
    nullable: bool = False
    """Whether None will do, whatever the type says: it is the parameter's default."""
    unusable: str = ""
    """Why the annotation, though it names a type, cannot rebuild one from JSON; or empty."""

    def rebuild(self, value: Any) -> Any:
        """Return a value that came as JSON as what the annotation says that it was.

        Raises:
            ValueError: it does not fit the annotation; the message says what was expected.
        """
        if self.type is Any or (self.nullable and value is None):
            return value
        return msgspec.convert(value, self.type, str_keys=True, dec_hook=_restored)


def hint(
    function: Callable[..., Any], name: str, default: object = inspect.Parameter.empty
) -> Hint:
    """Return the hint of a function's parameter (or of its `return`).

    An annotation that cannot be resolved (its name is known to type checkers only) is none.
    """
    written = inspect.unwrap(function)
    holder = type("_", (), {"__annotations__": {name: written.__annotations__.get(name, Any)}})
    try:
        found = typing.get_type_hints(holder, written.__globals__, include_extras=True)[name]
    except Exception:  # noqa: BLE001  # evaluating an application's text may raise anything
        return Hint(name)
    try:
        msgspec.json.Decoder(found)
    except (TypeError, NotImplementedError) as error:
        return Hint(name, unusable=str(error))
    return Hint(name, found, nullable=default is None)


def _restored(wanted: Any, value: Any) -> Any:
    """Return a value of a type that msgspec does not know; one that stays wrong is refused."""
    if isinstance(wanted, type):
        if isinstance(value, wanted):
            return value
        if issubclass(wanted, PurePath) and isinstance(value, str):
            return wanted(value)
        if hasattr(wanted, "model_validate"):  # pydantic's, without importing it
            return wanted.model_validate(value)
    return value
