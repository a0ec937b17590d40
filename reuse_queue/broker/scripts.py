"""The Lua scripts: one file, one atomic step; shared parts are included by name.

A line `-- flags allow-oom` is for those that a server whose memory is full must take: with them,
jobs end and leases last, so that there will be room again. Enqueueing is not among them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_INCLUDE = re.compile(r"^-- include (\w+)$", re.MULTILINE)
_FLAGS = re.compile(r"^-- flags (.+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """One script as the server gets it."""

    name: str
    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """Return the script of lua/<name>.lua with its includes, read once per process."""
    source = _source(f"{name}.lua")
    flags = _FLAGS.search(source)
    text = f"#!lua flags={flags[1]}\n" if flags else ""
    text += _COMMENT.sub("", _expand(source, seen=set()))
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name, text, digest)


def warm() -> None:
    """Read every script, once and for all: for a process that goes on for long, or is forked.

    Its package may be replaced meanwhile: other scripts than its own expect other arguments.
    """
    for path in (resources.files(__package__) / "lua").iterdir():
        if path.name.endswith(".lua"):
            script(path.name.removesuffix(".lua"))


def _source(path: str) -> str:
    return (resources.files(__package__) / "lua" / path).read_text(encoding="utf-8")


def _expand(text: str, seen: set[str]) -> str:
    """Replace each `-- include NAME` line by lua/lib/NAME.lua, each once, nested ones too."""

    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return ""
        seen.add(name)
        return _expand(_source(f"lib/{name}.lua"), seen)

    return _INCLUDE.sub(replacement, text)
