"""Everything that a Redis holds as JSON, and back: records that another release has written.

`python tests/support/keyspace.py URL ORIGIN > tests/recorded/NAME.json` records a server.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

RECORDED = Path(__file__).parent.parent / "recorded"
_READ: dict[str, Callable[[Any, bytes], Any]] = {
    "string": lambda raw, key: raw.get(key),
    "list": lambda raw, key: raw.lrange(key, 0, -1),
    "set": lambda raw, key: sorted(raw.smembers(key)),
    "hash": lambda raw, key: raw.hgetall(key),
    "zset": lambda raw, key: dict(raw.zrange(key, 0, -1, withscores=True)),
    "stream": lambda raw, key: [entry for _, entry in raw.xrange(key)],
}
_WRITE: dict[str, Callable[[Any, str, Any], Any]] = {
    "string": lambda raw, key, value: raw.set(key, value),
    "list": lambda raw, key, value: raw.rpush(key, *value),
    "set": lambda raw, key, value: raw.sadd(key, *value),
    "hash": lambda raw, key, value: raw.hset(key, mapping=value),
    "zset": lambda raw, key, value: raw.zadd(key, value),
    "stream": lambda raw, key, value: [raw.xadd(key, entry) for entry in value],
}


def dump(raw: Any) -> dict[str, Any]:
    """Return all keys with their types and contents; bytes as the texts that Latin-1 makes."""
    kinds = {key: raw.type(key).decode() for key in raw.keys("*")}
    return {
        _text(key): {"type": kind, "value": _text(_READ[kind](raw, key))}
        for key, kind in sorted(kinds.items())
    }


def load(raw: Any, name: str) -> dict[str, Any]:
    """Write recorded keys into a server and return them."""
    keys: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())["keys"]
    for key, each in keys.items():
        value = _bytes(each["value"])
        _WRITE[each["type"]](raw, key, value)
    return keys


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {_text(key): _text(each) for key, each in value.items()}
    return [_text(each) for each in value] if isinstance(value, list) else value


def _bytes(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("latin-1")
    if isinstance(value, dict):
        return {_bytes(key): _bytes(each) for key, each in value.items()}
    return [_bytes(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    found = {"origin": sys.argv[2], "keys": dump(redis.Redis.from_url(sys.argv[1]))}
    sys.stdout.write(json.dumps(found, indent=1, sort_keys=True) + "\n")
