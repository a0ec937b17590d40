"""What a payload says without being loaded."""

from __future__ import annotations

import json
import pickletools
import zlib

# A function's dotted name is within the first bytes of a payload, however long the rest is.
_NAME_WITHIN = 4096


def task_name(data: bytes) -> str:
    """Return the function that a payload calls, or '' where it cannot be read.

    No payload is loaded for it: a pickle could run code.
    """
    head = _head(data)
    try:
        if head.startswith(b"["):
            found, _ = json.JSONDecoder().raw_decode(head[1:].decode(errors="ignore").lstrip())
        else:
            found = next(arg for op, arg, _ in pickletools.genops(head) if _is_text(op.name))
    except (ValueError, StopIteration, IndexError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


def _head(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _NAME_WITHIN)
    except zlib.error:  # it was never compressed
        return data[:_NAME_WITHIN]


def _is_text(opcode: str) -> bool:
    return "UNICODE" in opcode
