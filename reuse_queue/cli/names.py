"""What somebody may have meant by a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_MOST = 3


def meant(name: str, known: Sequence[str]) -> list[str]:
    """Return at most three known names: those that begin like it, then those that look like it."""
    begin = sorted(each for each in known if name and each.startswith(name))
    alike = difflib.get_close_matches(name, known, n=_MOST, cutoff=0.6)
    return list(dict.fromkeys([*begin, *alike]))[:_MOST]


def not_there(kind: str, name: str, known: Sequence[str], none: str = "") -> str:
    """Return the message for a name that is not there, with the ones that may be meant.

    Args:
        kind: what it was to name, as `environment`.
        name: what was given.
        known: the names that there are.
        none: what to say where there are none at all.
    """
    said = f"there is no {kind} {name!r}"
    if not known:
        return f"{said}: {none}" if none else said
    close = meant(name, known)
    if close:
        return f"{said}. Did you mean {_listed(close, 'or')}?"
    if len(known) <= _MOST * 2:
        return f"{said}; there is {_listed(sorted(known), 'and')}"
    return said


def _listed(names: Sequence[str], last: str) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"
