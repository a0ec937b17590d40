"""Where Redis is, as a URL says it: one server, or a primary that sentinels know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

import redis.connection

from reuse_queue.errors import InvalidSettings

_SENTINEL_PORT = 26379
_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_FORM = "redis+sentinel://USER:PASSWORD@HOST:26379,HOST:26379/NAME/0"
_SENTINEL_URL = re.compile(
    r"(?P<scheme>rediss?)\+sentinel://(?P<login>[^/?#]*@)?(?P<members>[^/?#]*)"
    r"(?:/(?P<service>[^/?#]*))?(?:/(?P<db>[^/?#]*))?(?:\?(?P<query>.*))?"
)
_MEMBER = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>\d+))?")
_LOGIN = re.compile(r"^([^:/]+://[^/?#:]*):[^/?#]*@")
_PASSWORD_OPTION = re.compile(r"([?&](?:sentinel_)?password=)[^&#]*")
# What the sentinels need as well as the servers: how to be sure of whom one talks to.
_SHARED = "ssl"


@dataclass(frozen=True, slots=True)
class Address:
    """A checked URL; `sentinels` is empty where it names the server itself."""

    url: str
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""
    """The name that the sentinels know the primary by."""
    options: dict[str, Any] = field(default_factory=dict)
    """What redis-py's clients of the primary take."""
    sentinel_options: dict[str, Any] = field(default_factory=dict)
    """What its clients of the sentinels take."""

    @property
    def is_local(self) -> bool:
        """Whether it is a socket of this machine."""
        return self.url.startswith("unix:")


def address(url: str) -> Address:
    """Return what a URL says.

    Raises:
        InvalidSettings: it is no URL of a Redis; the message says what is wrong.
    """
    scheme = url.partition("://")[0]
    if scheme not in _SCHEMES:
        raise _wrong(url, "it must start with redis://, rediss:// or unix://, or have the form "
                     f"{_FORM}")  # fmt: skip
    try:
        if scheme.endswith("+sentinel"):
            return _of_sentinels(url)
        _read(url)
    except ValueError as error:
        if isinstance(error, InvalidSettings):
            raise
        raise _wrong(url, str(error)) from error
    return Address(url)


def shown_url(url: str) -> str:
    """Return a URL that is safe to show: its passwords replaced by three stars."""
    return _PASSWORD_OPTION.sub(r"\1***", _LOGIN.sub(r"\1:***@", url))


def _of_sentinels(url: str) -> Address:
    parts = _SENTINEL_URL.fullmatch(url)
    if parts is None or not parts["service"]:
        raise _wrong(url, "behind the sentinels it must say by what name they know the primary, "
                     f"as in {_FORM}")  # fmt: skip
    own: dict[str, Any] = {}
    others: list[tuple[str, str]] = []
    for name, value in parse_qsl(parts["query"] or "", keep_blank_values=True):
        if name in ("sentinel_username", "sentinel_password"):
            own[name.removeprefix("sentinel_")] = value
        else:
            others.append((name, value))
    if not (parts["db"] or "0").isdigit():
        raise _wrong(url, f"the database must be a number, not {parts['db']!r}")
    login, db = parts["login"] or "", parts["db"] or "0"
    options = _read(f"{parts['scheme']}://{login}primary/{db}?{urlencode(others)}")
    options = {n: v for n, v in options.items() if n not in ("host", "port", "connection_class")}
    if parts["scheme"] == "rediss":
        options["ssl"] = True
    own |= {name: value for name, value in options.items() if name.startswith(_SHARED)}
    sentinels = tuple(_members(url, parts["members"]))
    return Address(url, sentinels, unquote(parts["service"]), options, own)


def _read(url: str) -> dict[str, Any]:
    options: dict[str, Any] = redis.connection.parse_url(url)  # type: ignore[no-untyped-call]
    return options


def _members(url: str, text: str) -> Iterator[tuple[str, int]]:
    for each in text.split(","):
        member = _MEMBER.fullmatch(each)
        if member is None:
            raise _wrong(url, f"{each!r} is no sentinel's HOST:PORT")
        yield member["ipv6"] or member["host"], int(member["port"] or _SENTINEL_PORT)


def _wrong(url: str, why: str) -> InvalidSettings:
    return InvalidSettings(f"{shown_url(url)!r} is no Redis URL: {why}")
