"""The live view: one frame of text for a terminal of a given size; pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.text import Text

from reuse_queue.cli import words
from reuse_queue.cli.explain import because
from reuse_queue.cli.seen import Seen
from reuse_queue.cli.shapes import tally
from reuse_queue.cli.tables import STYLES
from reuse_queue.facts import Decision, Replica, ReplicaState, Snapshot

_BAR = 8
_GAP = 2
_HEADING = "bold dim"
_SECTIONS = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame says besides the fleet: its first and its last line."""

    title: str
    up: timedelta
    status: str


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a fixed width; one with width 0 takes what the others leave."""

    title: str
    width: int
    right: bool = False


_ENVIRONMENTS = (
    Field("environment", 0),
    Field("state", 8),
    Field("replicas", 10, right=True),
    Field("queued", 7, right=True),
    Field("running", 7, right=True),
    Field("done", 7, right=True),
    Field("failed", 6, right=True),
    Field("done/s", 6, right=True),
)
_REPLICAS = (
    Field("replica", 0),
    Field("state", 8),
    Field("", _BAR),
    Field("holds", 7, right=True),
    Field("done", 7, right=True),
    Field("age", 4, right=True),
    Field("idle", 4, right=True),
)
_HOST = Field("host", 16)
_WIDE = 100
_END = 7
_LONGEST_NAME = 16
_MOST_LINES = 3


def frame(seen: Seen | None, says: Frame, width: int, height: int) -> Text:
    """Return exactly `height` lines, none wider than `width`."""
    lines = [_title(says, width), Text()]
    if seen is not None:
        lines += _body(seen, width, height - 4)
    lines = lines[: height - 2]
    lines += [Text()] * (height - 1 - len(lines))
    lines.append(Text(says.status, "dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True, overflow="crop").join(lines)


def shares(room: int, wants: Sequence[int]) -> list[int]:
    """Return how many lines each section gets: the small ones all, the rest shared evenly."""
    got = [0] * len(wants)
    while room > 0 and any(has < want for has, want in zip(got, wants, strict=True)):
        for place, want in enumerate(wants):
            if got[place] < want and room > 0:
                got[place] += 1
                room -= 1
    return got


def _body(seen: Seen, width: int, room: int) -> list[Text]:
    environments = [_environment(each, seen) for each in seen.environments]
    wide = width >= _WIDE
    replicas = [
        _replica(each, one, wide=wide)
        for one in seen.environments
        for each in sorted(one.replicas, key=lambda each: (each.ordered_at, each.name))
    ]
    names = max((len(each.environment) for each in seen.decisions), default=0)
    names = min(names, _LONGEST_NAME)
    decided = [line for each in seen.decisions for line in _decision(each, names, width)]
    # Each section has a heading, and an empty line after it.
    counts = [len(environments), len(replicas), len(decided)]
    rows = shares(room - 2 * _SECTIONS + 1, counts)
    columns = (*_REPLICAS, _HOST) if wide else _REPLICAS
    return [
        *_section(_ENVIRONMENTS, environments, rows[0], width),
        *_section(columns, replicas, rows[1], width),
        Text("DECISIONS", _HEADING),
        *decided[: rows[2]],
    ]


def _section(
    columns: Sequence[Field], rows: Sequence[Sequence[Text]], most: int, width: int
) -> list[Text]:
    fixed = sum(column.width + _GAP for column in columns) - _GAP
    widths = [column.width or max(width - fixed, 8) for column in columns]
    heading = [Text(column.title.upper(), _HEADING) for column in columns]
    shown = list(rows[:most])
    lines = [_line(columns, row, widths) for row in (heading, *shown)]
    hidden = len(rows) - len(shown)
    if hidden and shown:
        lines[-1] = Text(f"… and {hidden + 1} more", "dim")
    return [*lines, Text()]


def _line(columns: Sequence[Field], cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for column, cell, width in zip(columns, cells, widths, strict=True):
        fitted = (
            Text(_shortened(cell.plain, width), cell.style) if not column.width else cell.copy()
        )
        fitted.truncate(width, overflow="ellipsis")
        fitted.align("right" if column.right else "left", width)
        line.append_text(fitted).append(" " * _GAP)
    line.rstrip()
    return line


def _shortened(name: str, width: int) -> str:
    """Return a name that fits, its end kept: that is what tells replicas apart."""
    return name if len(name) <= width else f"{name[: width - _END - 1]}…{name[-_END:]}"


def _title(says: Frame, width: int) -> Text:
    whole = timedelta(seconds=max(int(says.up.total_seconds()), 1))
    up = f"up {words.duration(whole)}"
    left = Text.assemble(("reuse-queue", "bold"), "  ", (says.title, "dim"))
    left.truncate(max(width - len(up) - _GAP, 0), overflow="ellipsis", pad=True)
    return left.append(" " * _GAP).append(up, "dim")


def _environment(one: Snapshot, seen: Seen) -> list[Text]:
    record = one.environment
    state = words.standing(record)
    rate = seen.rates.get(record.name, 0.0)
    return [
        Text(record.name, "bold"),
        Text(state, STYLES.get(state, "")),
        Text(_replicas_of(one)),
        _number(one.backlog, "yellow"),
        _number(one.claimed, "cyan"),
        _number(one.finished_total, "green"),
        _number(one.failed_total, "bold red"),
        Text(words.rate(rate), "" if rate else "dim"),
    ]


def _replicas_of(one: Snapshot) -> str:
    counts = tally(one.replicas)
    coming = counts["ordered"] + counts["starting"]
    has = f"{counts['ready']}+{coming}" if coming else f"{counts['ready']}"
    return f"{has} of {words.bounds(*one.environment.bounds)}"


def _replica(of: Replica, one: Snapshot, *, wide: bool) -> list[Text]:
    policy = one.environment.policy
    slots = policy.concurrency if policy else 1
    up = of.state in (ReplicaState.READY, ReplicaState.DRAINING)
    cells = [
        Text(of.name),
        Text(of.state.value, STYLES.get(of.state.value, "")),
        _bar(of.held, slots) if up else Text(),
        Text(_holds(of.held, slots) if up else ""),
        Text(words.count(of.jobs_done) if up else ""),
        Text(words.age(of.ready_at or of.ordered_at, one.at), "dim"),
        Text(words.age(of.idle_since, one.at) if up else "", "dim"),
    ]
    return [*cells, Text(of.host, "dim")] if wide else cells


def _holds(held: int, slots: int) -> str:
    """Return the slots that are taken, and the short jobs that were claimed ahead."""
    ahead = held - slots
    return f"{slots}/{slots}+{ahead}" if ahead > 0 else f"{held}/{slots}"


def _bar(held: int, slots: int) -> Text:
    # A single job shows, however many slots there are.
    full = min(-(-held * _BAR // slots), _BAR)
    return Text.assemble(("━" * full, "cyan"), ("─" * (_BAR - full), "bright_black"))


def _decision(of: Decision, names: int, width: int) -> list[Text]:
    """Return a decision's lines, its reasons beside its head; dim if it changed nothing."""
    name = _shortened(of.environment, names).ljust(names)
    head = Text.assemble((words.clock(of.at), "dim"), "  ", (name, "bold"))
    head.append("  ").append(words.doings(of).ljust(3), "cyan").append("  ")
    style = "" if of.changes or of.unschedulable else "dim"
    room = max(width - len(head), _END)
    first, *rest = textwrap.wrap(because(of), room, max_lines=_MOST_LINES, placeholder=" …") or [""]
    indent = " " * len(head)
    return [head.append(first, style), *(Text(indent).append(line, style) for line in rest)]


def _number(value: int, style: str) -> Text:
    return Text(words.count(value), style if value else "dim")
