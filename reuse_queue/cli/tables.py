"""Tables and fields for people: drawn on a terminal, plain columns where the output is piped."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "active": "green",
    "ready": "green",
    "finished": "green",
    "ok": "green",
    "started": "cyan",
    "starting": "yellow",
    "ordered": "yellow",
    "queued": "yellow",
    "scheduled": "yellow",
    "paused": "yellow",
    "suspended": "yellow",
    "risk": "yellow",
    "draining": "blue",
    "drained": "blue",
    "stopping": "blue",
    "dormant": "dim",
    "note": "dim",
    "canceled": "dim",
    "unknown": "dim",
    "degraded": "bold red",
    "failed": "bold red",
    "problem": "bold red",
}
"""How a word of state is drawn, everywhere."""


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and how its cells stand."""

    title: str
    right: bool = False
    folds: bool = False
    """Long text: breaks into lines on a terminal."""
    cuts: bool = False
    """Is cut on a terminal that is too narrow."""


def readable(text: str) -> str:
    """Return a text that is safe on a terminal: what could steer that is spelled out."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode()
        for each in text
    )


def print_json(shape: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(shape, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Print rows under headings; `empty` is the line for none (not printed where piped)."""
    rows = [[readable(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        click.echo("\n".join(plain_table(columns, rows)))
    elif rows:
        Console().print(drawn_table(columns, rows))
    else:
        click.echo(empty)


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """Print named values, one or more lines each; empty ones are left out."""
    shown = [(name, readable(value)) for name, value in fields if value]
    width = max((len(name) for name, _ in shown), default=0) + 2
    for name, value in shown:
        first, *rest = _lines(value, width)
        click.echo(click.style(name.ljust(width), dim=True) + state_styled(first))
        for line in rest:
            click.echo(" " * width + line)


def plain_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return aligned lines without any drawing, two spaces between columns, nothing cut."""
    table = [[column.title.upper() for column in columns], *rows]
    widths = [_widest(columns, rows, i) for i in range(len(columns))]
    return ["  ".join(_cells(columns, row, widths)).rstrip() for row in table]


def drawn_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table for a terminal: empty columns left out, words of state in their colours."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold dim", expand=False)
    shown = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    for column in (columns[i] for i in shown):
        table.add_column(
            column.title.upper(),
            justify="right" if column.right else "left",
            # rich narrows only columns that may wrap; cells that are to be cut don't do it.
            no_wrap=not (column.folds or column.cuts),
            overflow="fold" if column.folds else "ellipsis",
        )
    for row in rows:
        table.add_row(*(_cell(columns[i], row[i]) for i in shown))
    return table


def state_styled(value: str) -> str:
    """Return a value in the colour of its word of state, if it is one."""
    style = STYLES.get(value, "").split()
    colour = next((word for word in style if word not in ("bold", "dim")), None)
    return click.style(value, fg=colour, bold="bold" in style or None) if style else value


def _cell(column: Column, value: str) -> Text:
    style = STYLES.get(value, "")
    return Text(
        value, style, no_wrap=not column.folds, overflow="fold" if column.folds else "ellipsis"
    )


def _lines(value: str, indent: int) -> list[str]:
    """Return a value's lines, broken where they would not fit a terminal beside their name."""
    if not sys.stdout.isatty():
        return value.splitlines()
    room = max(shutil.get_terminal_size().columns - indent, 20)
    return [
        part
        for line in value.splitlines()
        for part in textwrap.wrap(line, room, drop_whitespace=False) or [""]
    ]


def _widest(columns: Sequence[Column], rows: Sequence[Sequence[str]], place: int) -> int:
    return max(len(columns[place].title), *(len(row[place]) for row in rows), 0)


def _cells(columns: Sequence[Column], row: Sequence[str], widths: list[int]) -> list[str]:
    return [
        cell.rjust(width) if column.right else cell.ljust(width)
        for column, cell, width in zip(columns, row, widths, strict=True)
    ]
