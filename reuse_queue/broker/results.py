"""The entries of a job's result stream → our facts.

What stands there may be anything: what cannot be read is said to be so, and nothing raises.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from reuse_queue.broker.codec import moment_ms, shown, status
from reuse_queue.job import Ending, ResultKind, ResultRecord

_KINDS = {str(each.value).encode(): each for each in ResultKind}
# Of a traceback: what is longer was never meant for people.
_LONGEST_ERROR = 1024 * 1024


def ending(reply: Sequence[Any]) -> Ending:
    """Return what lua/lib/ending.lua says of one job."""
    named, *record = reply
    return status(named), result_record(*record) if record else None


def result_record(entry_id: bytes, words: Sequence[bytes]) -> ResultRecord:
    """Return what an entry of a result stream says; a kind that nobody knows is a failure."""
    fields = dict(zip(words[::2], words[1::2], strict=True))
    kind = _KINDS.get(fields.get(b"type", b""))
    unknown = f"its result is of a kind that is not known here ({shown(fields.get(b'type'))[:20]})"
    return ResultRecord(
        kind=kind or ResultKind.FAILED,
        value=_decoded(fields, b"return_value"),
        error=_error(fields) or ("" if kind else unknown),
        replica=shown(fields.get(b"worker_name")),
        created_at=moment_ms(entry_id.split(b"-")[0]),
    )


def _decoded(fields: Mapping[bytes, bytes], field: bytes) -> bytes | None:
    """Return bytes that were written in base64; none at all, b"", where that is broken.

    No serializer can read those: a broken result is not taken for one of None.
    """
    try:
        return base64.b64decode(fields[field], validate=True) if field in fields else None
    except binascii.Error:
        return b""


def _error(fields: Mapping[bytes, bytes]) -> str:
    packed = _decoded(fields, b"exc_string")
    if packed is None:
        return ""
    try:
        text = zlib.decompressobj().decompress(packed, _LONGEST_ERROR)
    except zlib.error:
        text = b""
    return text.decode(errors="replace") or "the traceback that was recorded cannot be read"
