"""How calls and results become bytes, as rq's serializers of the same names write them."""

from __future__ import annotations

import json
import pickle
import zlib
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from reuse_queue.errors import NotDeserializable, NotSerializable, PayloadTooLarge

SerializerName: TypeAlias = Literal["json", "pickle"]
_MIB = 1024 * 1024


class Serializer(Protocol):
    """Turns values into bytes and back, and calls into rq's `data` field and back."""

    @property
    def name(self) -> SerializerName:
        """The name that environments and rq know it by."""

    @property
    def typed(self) -> bool:
        """Whether values come back as plain JSON, so that annotations say what they were."""

    def dumps(self, value: object) -> bytes:
        """Return the value as bytes.

        Raises:
            NotSerializable: it holds something that this serializer cannot write.
        """

    def loads(self, data: bytes) -> Any:
        """Return the value of what `dumps` wrote.

        Raises:
            NotDeserializable: the bytes are none that it wrote.
        """

    def pack(
        self, function_name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], limit: int = 0
    ) -> bytes:
        """Return a call as rq's compressed `data`; with a `limit`, of so many bytes at most.

        Raises:
            NotSerializable: an argument cannot be written.
            PayloadTooLarge: it takes more than `limit` bytes before its compression.
        """

    def unpack(self, data: bytes) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return function name, args and kwargs of a job's `data`, compressed or not.

        Raises:
            NotDeserializable: it is no call of a function that this serializer wrote.
        """


def serializer(name: SerializerName) -> Serializer:
    """Return the serializer of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in _SERIALIZERS:
        raise ValueError(f"serializer must be one of {', '.join(_SERIALIZERS)}; got {name!r}")
    return _SERIALIZERS[name]


def check_size(what: str, data: bytes, limit: int) -> None:
    """Do nothing if `data` is within the limit; `what` names it in the error.

    Raises:
        PayloadTooLarge: it is not.
    """
    if len(data) > limit:
        raise PayloadTooLarge(
            f"{what} take {len(data) / _MIB:.1f} MiB; the limit is {limit / _MIB:g} MiB. Keep the "
            "data in a file, an object store or a database and pass where it is, or raise "
            "REUSE_QUEUE_MAX_PAYLOAD (bytes)."
        )


def plain(value: object) -> Any:
    """Return a value as JSON has it: dict, list, str, int, float, bool, None.

    Dataclasses, attrs and pydantic objects become dicts, sets and tuples lists, bytes base64;
    datetimes, enums, UUIDs, Decimals and paths what msgspec writes for them. NaN and the
    infinities stay floats: Python's JSON has words for them.

    Raises:
        NotSerializable: it holds an object of another type, or itself.
    """
    try:
        return msgspec.to_builtins(value, str_keys=True, enc_hook=_simplified)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotSerializable(_reason(error)) from error


class _Packing:
    """rq's `data` field, the same for every serializer: zlib of (function, None, args, kwargs)."""

    def dumps(self, value: object) -> bytes:
        raise NotImplementedError

    def loads(self, data: bytes) -> Any:
        raise NotImplementedError

    def pack(
        self, function_name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], limit: int = 0
    ) -> bytes:
        data = self.dumps((function_name, None, args, dict(kwargs)))
        if limit:
            check_size(f"the arguments of {function_name}", data, limit)
        return zlib.compress(data)

    def unpack(self, data: bytes) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        call = self.loads(_inflated(data))
        match call:
            case [str(name), None, list() | tuple() as args, dict() as kwargs]:
                return name, tuple(args), kwargs
            case [str(name), _, list() | tuple(), dict()]:
                raise NotDeserializable(
                    f"the job calls the method {name!r} of an object; tasks are functions"
                )
        raise NotDeserializable("the payload is no call as rq writes one")


class JsonSerializer(_Packing):
    """rq's `json`: cannot execute code; types come back through the task's annotations."""

    name: Literal["json"] = "json"
    typed = True

    def dumps(self, value: object) -> bytes:
        """Return the value as JSON, spelled as Python's `json.dumps` spells it."""
        try:
            return json.dumps(plain(value)).encode()
        except (ValueError, RecursionError) as error:
            raise NotSerializable(_reason(error)) from error

    def loads(self, data: bytes) -> Any:
        """Return the value of a JSON text."""
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            raise NotDeserializable(f"the payload is not JSON: {error}") from error


class PickleSerializer(_Packing):
    """rq's default: any Python object; whoever can write to Redis can run code in replicas."""

    name: Literal["pickle"] = "pickle"
    typed = False

    def dumps(self, value: object) -> bytes:
        """Return the value as a pickle of the highest protocol."""
        try:
            return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # objects' own __reduce__ raises what it likes
            raise NotSerializable(f"it cannot be pickled: {_reason(error)}") from error

    def loads(self, data: bytes) -> Any:
        """Return the value of a pickle."""
        try:
            return pickle.loads(data)  # noqa: S301  # the environment opted in to pickle
        except Exception as error:  # imports and objects' own __setstate__ raise what they like
            raise NotDeserializable(f"the payload cannot be unpickled: {_reason(error)}") from error


_SERIALIZERS: dict[SerializerName, Serializer] = {
    "json": JsonSerializer(),
    "pickle": PickleSerializer(),
}


def _simplified(value: object) -> object:
    """Return what msgspec does not know in a form that it does."""
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(type(value), "model_dump"):  # pydantic's, without importing it
        return value.model_dump(mode="json")  # type: ignore[attr-defined]  # seen just above
    raise TypeError(f"JSON has no form for {type(value).__module__}.{type(value).__qualname__}")


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply, or holds itself"
    return str(error) or type(error).__name__


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:  # rq reads data that was never compressed, and so do we
        return data
