"""How calls and results become bytes, as rq's serializers of the same names write them."""

from __future__ import annotations

import contextlib
import json
import pickle
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal, TypeAlias

import msgspec

from reuse_queue.errors import NotDeserializable, NotSerializable, PayloadTooLarge

SerializerName: TypeAlias = Literal["json", "pickle"]
_MIB = 1024 * 1024
_WORTH_ZIPPING = 128


@dataclass(frozen=True, slots=True)
class Serializer:
    """Turns values into bytes and back, and calls into rq's `data` field and back."""

    name: SerializerName
    """The name that environments and rq know it by."""
    typed: bool
    """Whether values come back as plain JSON, so that annotations say what they were."""
    dumps: Callable[[object], bytes]
    """Return a value as bytes; NotSerializable where it holds what cannot be written."""
    loads: Callable[[bytes], Any]
    """Return the value of what `dumps` wrote; NotDeserializable of anything else."""

    def pack(
        self, function_name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], limit: int = 0
    ) -> bytes:
        """Return a call as rq's `data`, of at most `limit` bytes (if not 0); compressed if long.

        Raises:
            NotSerializable: an argument cannot be written.
            PayloadTooLarge: it takes more than `limit` bytes before its compression.
        """
        data = self.dumps((function_name, None, args, dict(kwargs)))
        if limit:
            check_size(f"the arguments of {function_name}", data, limit)
        # Short data would grow, and zlib takes longer to set up than all else; rq reads both.
        return data if len(data) < _WORTH_ZIPPING else zlib.compress(data)

    def dumps_result(self, task: str, value: object, limit: int) -> bytes:
        """Return what a task returned as bytes, at most `limit` of them.

        Raises:
            NotSerializable: it cannot be written; the message names the task and what would do.
            PayloadTooLarge: it takes more bytes.
        """
        try:
            data = self.dumps(value)
        except NotSerializable as error:
            raise NotSerializable(
                f"{task} returned a {kind(value)}, which cannot be recorded: {error}. Return "
                f"{self.instead}."
            ) from error
        check_size(f"the result of {task}", data, limit)
        return data

    @property
    def instead(self) -> str:
        """What to use in place of a value that cannot be written."""
        other = ' or give the environment serializer="pickle"' if self.typed else ""
        return f"plain data instead{other}"

    def unpack(self, data: bytes, limit: int = 0) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return function name, args and kwargs of a job's `data`, compressed or not.

        Raises:
            NotDeserializable: it is no call of a function that this serializer wrote.
            PayloadTooLarge: there is a `limit`, and it takes more bytes once decompressed.
        """
        match self.loads(_inflated(data, limit)):
            case [str(name), None, list() | tuple() as args, dict() as kwargs]:
                return name, tuple(args), kwargs
            case [str(name), owner, list() | tuple(), dict()]:
                raise NotDeserializable(
                    f"the job calls the method {name!r} of an object; tasks are functions"
                    f"{_by_name(name, owner)}"
                )
        raise NotDeserializable("the payload is no call as rq writes one")


def _by_name(method: str, owner: object) -> str:
    """Return what to do where a task itself was given to rq's enqueue, which takes any callable."""
    if method != "__call__":
        return ""
    name = getattr(owner, "name", None)
    said = repr(name) if isinstance(name, str) else "module.function"
    return f": give rq's enqueue the task's name, {said}, or call the task's own enqueue"


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
        raise _too_large(what, f"{len(data) / _MIB:.1f} MiB, and the limit is", limit)


def kind(value: object) -> str:
    """Return the name of a value's class, with its module's."""
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


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


def _to_json(value: object) -> bytes:
    try:
        return json.dumps(plain(value)).encode()
    except (ValueError, RecursionError) as error:
        raise NotSerializable(_reason(error)) from error


def _from_json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotDeserializable(f"the payload is not JSON: {_reason(error)}") from error


def _to_pickle(value: object) -> bytes:
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # objects' own __reduce__ raises what it likes
        raise NotSerializable(f"it cannot be pickled: {_reason(error)}") from error


def _from_pickle(data: bytes) -> Any:
    try:
        return pickle.loads(data)  # noqa: S301  # the environment opted in to pickle
    except Exception as error:  # imports and objects' own __setstate__ raise what they like
        raise NotDeserializable(f"the payload cannot be unpickled: {_reason(error)}") from error


_SERIALIZERS: dict[SerializerName, Serializer] = {
    # rq's `json`, spelled as Python's json.dumps spells it; it cannot execute code.
    "json": Serializer("json", typed=True, dumps=_to_json, loads=_from_json),
    # rq's default: any Python object; whoever can write to Redis can run code in replicas.
    "pickle": Serializer("pickle", typed=False, dumps=_to_pickle, loads=_from_pickle),
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


def compressed(data: bytes) -> bytes:
    """Return a job's `data` in the form that rq itself writes, whatever its length."""
    try:
        zlib.decompress(data)
    except zlib.error:
        return zlib.compress(data)
    return data


def _inflated(data: bytes, limit: int) -> bytes:
    found = data
    # Every stream of zlib's begins so. rq reads data that was never compressed, and so do we.
    if data and data[0] & 15 == zlib.DEFLATED:
        packed = zlib.decompressobj()
        with contextlib.suppress(zlib.error):
            # A byte more than may be, and no more: a thousandfold of it may come out.
            found = packed.decompress(data, limit + 1 if limit else 0)
            if not (packed.eof or len(found) > limit > 0):
                raise NotDeserializable("the payload is cut short")
    if len(found) > limit > 0:
        raise _too_large("the arguments", "they unpack to more than the limit of", limit)
    return found


def _too_large(what: str, measure: str, limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"{what}: {measure} {limit / _MIB:g} MiB. Keep the data in a file, an object store or a "
        "database and pass where it is, or raise REUSE_QUEUE_MAX_PAYLOAD (bytes)."
    )
