# ruff: noqa: RUF001  # a range is written with its dash, a ratio with its sign
"""Turn the figures of one run into docs/performance.md and its plot."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# Table → its columns: (figure, heading, format, whether more is better).
TABLES: dict[str, list[tuple[str, str, str, bool]]] = {
    "Drain of no-op jobs": [
        ("drain1_per_s", "1 process, jobs/s", ",.0f", True),
        ("drain2_per_s", "2 processes, jobs/s", ",.0f", True),
        ("drain1_worker_us", "worker CPU, µs/job", ",.0f", False),
        ("drain1_redis_us", "Redis CPU, µs/job", ",.0f", False),
        ("drain1_commands", "commands/job", ".1f", False),
        ("drain1_round_trips", "network reads/job", ".2f", False),
    ],
    "Enqueue, from one process": [
        ("enqueue_one_per_s", "one by one, jobs/s", ",.0f", True),
        ("enqueue_bulk_per_s", "in bulk, jobs/s", ",.0f", True),
        ("enqueue_round_trips", "network reads/job", ".2f", False),
        ("bytes_per_queued_job", "Redis bytes/queued job", ",.0f", False),
    ],
    "Tasks that wait 10 ms, and tasks that work 1 ms": [
        ("sleep10_per_s", "10 ms, jobs/s", ",.0f", True),
        ("sleep10_of_ideal", "of its concurrency's ideal", ".0%", True),
        ("cpu1_per_s", "1 ms of CPU at concurrency 1, jobs/s", ",.0f", True),
    ],
    "Idle latency and cold start": [
        ("latency_p50_ms", "enqueue → body, p50 ms", ".2f", False),
        ("latency_p99_ms", "p99 ms", ".2f", False),
        ("cold_ms", "spawn of a worker → first body, ms", ",.0f", False),
        ("further_worker_mib", "one more worker process, MiB", ".1f", False),
    ],
}
_PLOTTED = ("drain1_per_s", "drain2_per_s", "enqueue_bulk_per_s", "sleep10_of_ideal")


def write(results: dict[str, Any], docs: Path) -> None:
    """Write the page and the plot from what `benchmarks.__main__.measure` returned."""
    figures = _gather(results["runs"])
    page = (docs / "performance.md").read_text() if (docs / "performance.md").exists() else ""
    head, _, rest = page.partition("<!-- figures -->")
    tail = rest.partition("<!-- end of figures -->")[2]
    body = "\n".join(_table(name, figures, results) for name in _measured(figures))
    versions = ", ".join(f"{peer} {version}" for peer, version in results["versions"].items())
    machine = results["machine"]
    loads = [run["load"] for run in results["runs"]]
    (docs / "performance.md").write_text(
        f"{head}<!-- figures -->\n\n{versions}. Python {machine['python']}, {machine['cores']} "
        f"cores; load before the runs: median {statistics.median(loads):.1f}, "
        f"at most {max(loads):.1f}.\n\n{body}\n"
        "![The main figures beside the peers'](performance.svg)\n\n"
        f"<!-- end of figures -->{tail}"
    )
    _plot(figures, results["ours"], docs / "performance.svg")


def _measured(figures: dict[str, dict[str, list[float]]]) -> list[str]:
    known = {figure for found in figures.values() for figure in found}
    return [name for name, columns in TABLES.items() if known & {each[0] for each in columns}]


def _gather(runs: Iterable[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for figure, value in run["figures"].items():
            found.setdefault(run["peer"], {}).setdefault(figure, []).append(value)
    return found


def _table(name: str, figures: dict[str, dict[str, list[float]]], results: dict[str, Any]) -> str:
    columns = TABLES[name]
    lines = [
        f"### {name}\n",
        "| | " + " | ".join(heading for _, heading, _, _ in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for peer, found in figures.items():
        cells = [_cell(found.get(figure), form) for figure, _, form, _ in columns]
        shown = f"**{peer}**" if peer == results["ours"] else peer
        lines.append(f"| {shown} | " + " | ".join(cells) + " |")
    ratios = [_ratio(figures, results["ours"], figure, more=more) for figure, _, _, more in columns]
    lines.append("| *ours against the best peer* | " + " | ".join(ratios) + " |\n")
    return "\n".join(lines)


def _cell(values: list[float] | None, form: str) -> str:
    if not values:
        return "–"
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    return f"{middle} ({format(min(values), form)}–{format(max(values), form)})"


def _ratio(
    figures: dict[str, dict[str, list[float]]], ours: str, figure: str, *, more: bool
) -> str:
    mine = figures.get(ours, {}).get(figure)
    theirs = [statistics.median(f[figure]) for p, f in figures.items() if p != ours and figure in f]
    if not mine or not theirs:
        return "–"
    best = max(theirs) if more else min(theirs)
    middle = statistics.median(mine)
    return f"{middle / best:.2f}×" if best else "–"


def _plot(figures: dict[str, dict[str, list[float]]], ours: str, path: Path) -> None:
    import matplotlib.pyplot as plt  # slow to load, and only needed here

    titles = {c[0]: f"{table}: {c[1]}" for table, cs in TABLES.items() for c in cs}
    chart, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for axis, figure in zip(axes.flat, _PLOTTED, strict=True):
        bars = {p: statistics.median(f[figure]) for p, f in figures.items() if figure in f}
        names = list(bars)[::-1]
        colours = ["#c0392b" if name == ours else "#7f8c8d" for name in names]
        axis.barh(names, [bars[name] for name in names], color=colours)
        axis.set_title(titles[figure], fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    chart.savefig(path)
    plt.close(chart)
