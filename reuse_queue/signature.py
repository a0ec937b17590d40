"""Signature: what a task's calls must look like, and the types that JSON took from them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from reuse_queue.errors import InvalidArguments, NotDeserializable, NotSerializable
from reuse_queue.hints import Hint, hint
from reuse_queue.serializer import Serializer, kind, plain

_SCALARS = frozenset({str, int, float, bool})
_Kind = inspect.Parameter
_BY_PLACE = (_Kind.POSITIONAL_ONLY, _Kind.POSITIONAL_OR_KEYWORD)


class Signature:
    """The parameters of one function, for checking calls and for giving JSON its types back.

    Arguments that travel as JSON are checked against their annotations as they will arrive, and
    rebuilt by them on arrival. What has no annotation (or one that cannot be resolved) arrives as
    JSON has it: tuples as lists, dataclasses as dicts. Pickled arguments arrive as they were, and
    only the shape of the call is checked.
    """

    def __init__(self, name: str, function: Callable[..., Any], serializer: Serializer) -> None:
        self._name = name
        self._function = function
        self._serializer = serializer
        self._signature = inspect.signature(function)

    def __str__(self) -> str:
        """Return the call as it is written: `app.classify(path: str)`."""
        shown = [
            each.replace(annotation=_Unquoted(each.annotation))
            if isinstance(each.annotation, str)
            else each
            for each in self._signature.parameters.values()
        ]
        return f"{self._name}{inspect.Signature(shown)}"

    def check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Do nothing if a call fits.

        Raises:
            InvalidArguments: it does not; the message names the parameter.
            NotSerializable: a value cannot become JSON; the message names the parameter.
        """
        self._bind(args, kwargs)
        if not self._serializer.typed:
            return
        for expected, value in self._pairs(args, kwargs):
            if type(value) is not expected.type or expected.type not in _SCALARS:
                self._check(expected, value)

    def pack(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], limit: int) -> bytes:
        """Return a call that fits as a job's `data`, of at most `limit` bytes.

        Raises:
            NotSerializable: a value cannot be written; the message names the parameter.
            PayloadTooLarge: it takes more bytes.
        """
        try:
            return self._serializer.pack(self._name, args, kwargs, limit)
        except NotSerializable:
            for expected, value in self._pairs(args, kwargs):
                try:
                    self._serializer.dumps(value)
                except NotSerializable as error:
                    raise self._unwritable(expected, value, error) from error
            raise

    def arguments(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments to call the function with: what came as JSON, typed again.

        Raises:
            InvalidArguments: the call does not fit; the message names the parameter.
        """
        self._bind(args, kwargs)
        if not self._serializer.typed:
            return args, dict(kwargs)
        typed = [self._rebuilt(expected, value) for expected, value in self._pairs(args, kwargs)]
        return tuple(typed[: len(args)]), dict(zip(kwargs, typed[len(args) :], strict=True))

    def returned(self, value: Any) -> Any:
        """Return a result, as the serializer read it, as what the annotation says that it was.

        Raises:
            NotDeserializable: the task returned something else than its annotation says.
        """
        if not self._serializer.typed:
            return value
        try:
            return self._returns.rebuild(value)
        except ValueError as error:
            raise NotDeserializable(
                f"{self._name} returned something else than its return annotation says: {error}"
            ) from error

    # ---------------------------------------------------------------------------------------

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        least, most = self._places_alone
        if not kwargs and least <= len(args) <= most:
            return  # what nearly every call looks like, without the cost of a real bind
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(f"{self}: {error}") from error

    def _pairs(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Iterator[tuple[Hint, Any]]:
        """Yield each value of a call that binds with what is known of its parameter."""
        places, names = self._places, self._names
        for place, value in enumerate(args):
            yield places[place] if place < len(places) else self._more_places, value
        for name, value in kwargs.items():
            yield names.get(name) or replace(self._more_names, name=name), value

    def _check(self, expected: Hint, value: Any) -> None:
        try:
            sent = plain(value)
        except NotSerializable as error:
            raise self._unwritable(expected, value, error) from error
        if expected.unusable and isinstance(sent, dict) and not isinstance(value, dict):
            raise NotSerializable(
                f"{self}: parameter {expected.name!r}: a {type(value).__name__} would arrive as a "
                f"plain dict, since this annotation cannot be rebuilt from JSON: "
                f"{expected.unusable}"
            )
        self._rebuilt(expected, sent)

    def _unwritable(self, expected: Hint, value: object, error: NotSerializable) -> NotSerializable:
        return NotSerializable(
            f"{self}: parameter {expected.name!r} ({kind(value)}): {error}. Pass "
            f"{self._serializer.instead}."
        )

    def _rebuilt(self, expected: Hint, value: Any) -> Any:
        try:
            return expected.rebuild(value)
        except ValueError as error:
            raise InvalidArguments(f"{self}: parameter {expected.name!r}: {error}") from error

    # -- read when first needed: annotations may name what is defined further down ---------------

    @cached_property
    def _places_alone(self) -> tuple[int, float]:
        """The least and the most values that will do when all are given by place."""
        least, most = 0, 0.0
        for each in self._signature.parameters.values():
            needed = each.default is _Kind.empty
            if each.kind in _BY_PLACE:
                least, most = least + needed, most + 1
            elif each.kind is _Kind.VAR_POSITIONAL:
                most = float("inf")
            elif each.kind is _Kind.KEYWORD_ONLY and needed:
                return 1, 0.0  # never
        return least, most

    @cached_property
    def _places(self) -> list[Hint]:
        return self._hints(*_BY_PLACE)

    @cached_property
    def _names(self) -> dict[str, Hint]:
        hints = self._hints(_Kind.POSITIONAL_OR_KEYWORD, _Kind.KEYWORD_ONLY)
        return {each.name: each for each in hints}

    @cached_property
    def _more_places(self) -> Hint:
        return self._hints(_Kind.VAR_POSITIONAL)[0]

    @cached_property
    def _more_names(self) -> Hint:
        return self._hints(_Kind.VAR_KEYWORD)[0]

    @cached_property
    def _returns(self) -> Hint:
        return hint(self._function, "return")

    def _hints(self, *kinds: object) -> list[Hint]:
        return [
            hint(self._function, each.name, each.default)
            for each in self._signature.parameters.values()
            if each.kind in kinds
        ]


class _Unquoted(str):
    """An annotation under `from __future__ import annotations`, shown as it was written."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)
