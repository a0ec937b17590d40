"""How a job's result is shown: decoded where that cannot run code."""

from __future__ import annotations

import json
from typing import Any

from reuse_queue.cli.shapes import Shape, iso
from reuse_queue.job import ResultKind, ResultRecord


def result_shape(record: ResultRecord | None, serializer: str) -> Shape:
    """Return the fields result, error, result_at and replica for `jobs show --json`.

    `result` is {"value": …} for what JSON can show, {"serializer", "size"} for what is left
    encoded, null where the job has none.
    """
    if record is None:
        return {"result": None, "error": None, "result_at": None}
    return {
        "result": _value(record, serializer),
        "error": record.error or None,
        "result_at": iso(record.created_at),
    }


def result_text(record: ResultRecord | None, serializer: str) -> list[tuple[str, str]]:
    """Return the fields of a result, or of a failure with its traceback, for people."""
    if record is None:
        return []
    if record.kind is not ResultKind.SUCCESSFUL:
        return [("error", record.error.strip() or record.kind.name.lower())]
    value = _value(record, serializer) or {}
    if "value" in value:
        return [("result", json.dumps(value["value"], indent=2, ensure_ascii=False))]
    return [("result", f"{value['size']:,} bytes of {value['serializer']}, not decoded here")]


def _value(record: ResultRecord, serializer: str) -> dict[str, Any] | None:
    if record.kind is not ResultKind.SUCCESSFUL:
        return None
    if record.value is None:
        return {"value": None}
    if serializer == "json":
        try:
            return {"value": json.loads(record.value)}
        except ValueError:  # another producer's result
            return {"serializer": "unknown", "size": len(record.value)}
    return {"serializer": serializer, "size": len(record.value)}
