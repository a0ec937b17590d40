"""The main figures as bars."""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures import Figures
from benchmarks.roster import DROP_IN, OURS

_PANELS = [
    ("drain1_per_s", "No-ops drained by one process, jobs/s", "{:,.0f}"),
    ("enqueue_bulk_per_s", "Enqueue in bulk, jobs/s", "{:,.0f}"),
    ("sleep10_per_s", "Tasks that wait 10 ms, one process, jobs/s", "{:,.0f}"),
    ("latency_p50_ms", "Idle latency, median, ms (less is better)", "{:.2f}"),
    ("new_worker_ms", "A further worker → first job, ms (less is better)", "{:,.0f}"),
    ("further_mib", "Memory of a further worker, MiB (less is better)", "{:,.1f}"),
]
_OURS, _THEIRS = "#c0392b", "#8a97a0"


def plot(figures: Figures, path: Path) -> None:
    """Write a picture of what was measured; nothing where nothing of it was."""
    shown = [panel for panel in _PANELS if figures.known([panel[0]])]
    if not shown:
        return
    import matplotlib as mpl  # slow to load, and only needed here

    mpl.use("svg")
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "bench"  # the same figures give the same file
    rows = (len(shown) + 1) // 2
    chart, axes = plt.subplots(
        rows, 2, figsize=(11, 3.1 * rows), layout="constrained", squeeze=False
    )
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    for axis, (figure, title, form) in zip(axes.flat, shown, strict=False):
        bars = {
            peer: middle
            for peer in reversed(figures.peers)
            if (middle := figures.median(peer, figure)) is not None
        }
        colours = [_OURS if peer in {OURS, DROP_IN} else _THEIRS for peer in bars]
        drawn = axis.barh(list(bars), list(bars.values()), color=colours)
        axis.bar_label(drawn, [form.format(each) for each in bars.values()], padding=3, fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.margins(x=0.15)
        axis.tick_params(labelsize=8)
        axis.xaxis.set_visible(False)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    chart.savefig(path, metadata={"Date": None})
    plt.close(chart)
