"""What jobs and workers leave in Redis, in a form in which two runs can be compared."""

import json
import re
from collections.abc import Iterator
from typing import Any

from rq.results import Result

# Not compared: what registers a worker (Fleet's part), locks of rq's maintenance, our own keys.
IGNORED = re.compile(r"rq:workers?\b|rq:clean_|rq:scheduler|rq:cron|reuse:")
CLOCK = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d{10}\.\d+")


def everything(raw: Any, ignored: re.Pattern[str] = IGNORED) -> Iterator[tuple[str, object]]:
    """Yield what Redis holds, moments and random ids made equal, and each key's TTL."""
    for key in sorted(each.decode() for each in raw.keys("*")):
        if ignored.match(key):
            continue
        kind = raw.type(key).decode()
        if kind == "hash":
            yield from (
                (f"{key} {n.decode()}", shown(text)) for n, text in raw.hgetall(key).items()
            )
        else:
            yield key, (kind, content(raw, key, kind))
        ttl = raw.ttl(key)
        # Whole seconds may have passed since it was set.
        yield f"{key} ttl", "none" if ttl < 0 else -(-ttl // 10) * 10


def content(raw: Any, key: str, kind: str) -> object:
    if kind == "zset":
        seconds = raw.time()[0]
        return {
            member.decode(): moment(score, seconds)
            for member, score in raw.zrange(key, 0, -1, withscores=True)
        }
    if kind == "stream":
        return [entry(fields) for _, fields in raw.xrange(key)]
    if kind == "list":
        return raw.lrange(key, 0, -1)
    if kind == "string":
        return shown(raw.get(key))
    return sorted(raw.smembers(key))


def entry(fields: dict[bytes, bytes]) -> dict[str, object]:
    """One result; of a traceback its last line, since the frames above are rq's own or ours."""
    shown_fields: dict[str, object] = {n.decode(): shown(text) for n, text in fields.items()}
    if "exc_string" in shown_fields:
        restored = Result.restore("job", "1-0", fields, connection=None, serializer="json")
        assert restored.exc_string is not None
        shown_fields["exc_string"] = restored.exc_string.strip().splitlines()[-1]
    if "execution_id" in shown_fields:
        shown_fields["execution_id"] = "<id>"
    return shown_fields


def shown(text: bytes) -> object:
    try:
        decoded = CLOCK.sub("<moment>", text.decode())
    except UnicodeDecodeError:
        return text
    return json.loads(decoded) if decoded.startswith("[") else decoded


def moment(score: float, now_s: int) -> object:
    """A score relative to now, in steps that a slow run does not leave."""
    if score < 0 or score == float("inf"):
        return score
    away = round((score - now_s) / 10) * 10
    return away or "now"
