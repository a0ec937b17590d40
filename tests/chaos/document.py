"""Puts what was measured into a document."""

from __future__ import annotations

from pathlib import Path


def publish(path: Path, part: str, text: str) -> None:
    """Write a text to a file; of a document that has such a part, in place of that.

    A part stands between `<!-- PART -->` and `<!-- end of PART -->`, each on a line of its own.
    """
    first, last = f"<!-- {part} -->\n", f"\n<!-- end of {part} -->"
    there = path.read_text(encoding="utf-8") if path.exists() else ""
    if first in there and last in there:
        before, _, rest = there.partition(first)
        text = f"{before}{first}\n{text}{last}{rest.partition(last)[2]}"
    path.write_text(text, encoding="utf-8")
