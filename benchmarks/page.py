# ruff: noqa: RUF001  # a range is written with its dash, a ratio with its sign
"""Turn the figures of a run into a page."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks.figures import Figures
from benchmarks.roster import OURS
from benchmarks.tables import FAIRNESS, TABLES, Column, Table
from benchmarks.targets import TARGETS

_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"


def page(results: dict[str, Any], template: str) -> str:
    """Return the page of what `measure` returned; the text around the figures is the template's."""
    before, _, rest = template.partition(_BEGIN)
    after = rest.partition(_END)[2]
    body = "\n\n".join(_parts(results, Figures(results["runs"])))
    return f"{before}{_BEGIN}\n\n{body}\n\n{_END}{after}"


def _parts(results: dict[str, Any], figures: Figures) -> Iterator[str]:
    yield _where(results)
    yield from _targets(figures)
    yield "![The main figures beside the peers'](performance.svg)"
    for table in TABLES:
        if figures.known(column.figure for column in table.columns):
            yield _table(table, figures)
    if figures.known(["fair_ahead_per_s"]):
        yield _fairness(figures)
    yield _settings(results)
    failed = [run for run in results["runs"] if "error" in run]
    if failed:
        names = ", ".join(f"{run['peer']} ({run['scenario']})" for run in failed)
        yield f"Runs that failed, and are left out: {names}."


def _where(results: dict[str, Any]) -> str:
    machine, rounds = results["machine"], results["rounds"]
    loads = [run["load"] for run in results["runs"]]
    times = "one round" if rounds == 1 else f"{rounds} rounds, medians with the range"
    times += " of short runs (`--quick`)" if results.get("quick") else ""
    return (
        f"{machine['cores']} cores, Python {machine['python']}, {machine['redis']} on loopback; "
        f"{times}, in {results['took_s'] / 60:.0f} minutes. The load before a run was "
        f"{statistics.median(loads):.1f} in the median, at most {max(loads):.1f}: most of that is "
        "the run before it." + (f"\n\n{results['note']}" if results.get("note") else "")
    )


def _targets(figures: Figures) -> Iterator[str]:
    lines = [line for target in TARGETS if (line := target.line(figures))]
    if lines:
        head = "| what | aim | measured | |\n| --- | --- | --- | --- |"
        yield "### What was aimed at\n\n" + "\n".join([head, *lines])


def _table(table: Table, figures: Figures) -> str:
    columns = [column for column in table.columns if figures.known([column.figure])]
    lines = [
        "| | " + " | ".join(column.heading for column in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for peer in figures.peers:
        if any(figures.values(peer, column.figure) for column in columns):
            cells = [_cell(figures.values(peer, each.figure), each.form) for each in columns]
            shown = f"**{peer}**" if peer == OURS else peer
            lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    ratios = [_ratio(figures, column) for column in columns]
    if any(ratios):
        lines.append("| *ours against the best peer* | " + " | ".join(ratios) + " |")
    return f"### {table.title}\n\n{table.note}\n\n" + "\n".join(lines)


def _cell(values: list[float], form: str) -> str:
    if not values:
        return "–"
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    return f"{middle} ({format(min(values), form)}–{format(max(values), form)})"


def _ratio(figures: Figures, column: Column) -> str:
    if column.more is None:
        return ""
    mine, theirs = figures.ours(column.figure), figures.best(column.figure, more=column.more)
    if not mine or not theirs or not theirs[1]:
        return ""
    return f"{mine / theirs[1]:.2f}×"


def _fairness(figures: Figures) -> str:
    lines = ["| | claims as they are | claims of one |", "| --- | ---: | ---: |"]
    for row, figure, form in FAIRNESS:
        if figure is None:
            lines.append(f"| *{row}* | | |")
        else:
            cells = [
                _cell(figures.values(OURS, f"fair_{name}_{figure}"), form)
                for name in ("ahead", "one")
            ]
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return (
        "### Fairness of claiming ahead\n\nUnder backlog a replica claims a few milliseconds of "
        "work ahead. Two replicas at concurrency 1, as they are and with that switched off.\n\n"
        + "\n".join(lines)
    )


def _settings(results: dict[str, Any]) -> str:
    lines = [
        f"| {name} | {known['version']} | {known['settings']} |"
        for name, known in results["peers"].items()
    ]
    head = "| | version | settings |\n| --- | --- | --- |"
    return "### What ran\n\n" + "\n".join([head, *lines])
