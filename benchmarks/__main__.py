"""Measure every peer in one run, interleaved: `python -m benchmarks [PEER …]`.

Each scenario runs for all peers before the next one starts, and the whole is repeated; what is
reported is the median of a peer's runs, with the range. A full run writes docs/performance.md, its
plot and the figures of every run (performance.json); any other run writes the same into .bench/.
With --add, only what is named is measured, and put beside what was measured before.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from benchmarks.figures import Figures
from benchmarks.harness import ROOT, server_version
from benchmarks.page import page
from benchmarks.plot import plot
from benchmarks.roster import Peer, peers
from benchmarks.scenarios import SCENARIOS, takes_part
from benchmarks.sizes import FULL, QUICK, Sizes

_DOCS, _ELSEWHERE = ROOT / "docs", ROOT / ".bench"
_PAGE, _FIGURES = "performance.md", "performance.json"


@click.command(help=__doc__)
@click.argument("names", metavar="[PEER]...", nargs=-1)
@click.option("--scenario", "only", multiple=True, type=click.Choice(list(SCENARIOS)))
@click.option("--quick", is_flag=True, help="One round of short runs, a few minutes.")
@click.option("--rounds", type=click.IntRange(min=1), help="Default: 3; 1 where it is quick.")
@click.option("--envs", default=str(ROOT / ".venv-bench"), hidden=True, type=Path)
@click.option("--to", type=Path, help="The folder to write into.")
@click.option("--note", default="", help="What readers of the page should know of this run.")
@click.option("--add", is_flag=True, help="Keep the runs that --to has; these are more rounds.")
@click.option("--report", is_flag=True, help="Measure nothing: write the page of --to anew.")
def main(
    names: tuple[str, ...],
    only: tuple[str, ...],
    rounds: int | None,
    envs: Path,
    to: Path | None,
    note: str,
    **flags: bool,
) -> None:
    """Run, then report."""
    runs: list[dict[str, Any]] = []
    if flags["report"]:
        folder = to or _DOCS
    else:
        chosen = _chosen(envs, names)
        narrowed = bool(names or only or flags["quick"]) and not flags["add"]
        folder = to or (_ELSEWHERE if narrowed else _DOCS)
        folder.mkdir(exist_ok=True)
        sizes = QUICK if flags["quick"] else FULL
        turns = rounds or (1 if flags["quick"] else 3)
        found = measure(chosen, only or tuple(SCENARIOS), sizes, turns) | {"note": note}
        runs = found["runs"]
        if flags["add"]:
            found = added(json.loads((folder / _FIGURES).read_text()), found)
        (folder / _FIGURES).write_text(json.dumps(found, indent=1) + "\n")
    results = json.loads((folder / _FIGURES).read_text())
    (folder / _PAGE).write_text(page(results, (_DOCS / _PAGE).read_text()))
    plot(Figures(results["runs"]), folder / "performance.svg")
    failures = [run for run in runs if "error" in run]
    for run in failures:
        print(f"FAILED {run['peer']} {run['scenario']}: {run['error']}", file=sys.stderr)
    sys.exit(bool(failures))


def measure(
    chosen: list[Peer], scenarios: tuple[str, ...], sizes: Sizes, rounds: int
) -> dict[str, Any]:
    """Return every figure of every run, and where it was run."""
    began = time.monotonic()
    runs: list[dict[str, Any]] = []
    for turn in range(rounds):
        # What takes longest is done once.
        these = sizes if turn == 0 else replace(sizes, depth=0, alone_s=0, tail=False)
        for scenario in scenarios:
            for peer in chosen if turn % 2 == 0 else reversed(chosen):
                if takes_part(scenario, peer, these):
                    runs.append({"round": turn, **_run(scenario, peer, these)})
                    print(f"[{turn + 1}/{rounds}] {_shown(runs[-1])}", flush=True)
    return {
        "runs": runs,
        "rounds": rounds,
        "quick": sizes == QUICK,
        "took_s": round(time.monotonic() - began),
        "peers": {
            peer.name: {"version": peer.release(), "settings": peer.settings()} for peer in chosen
        },
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "redis": server_version(chosen[0]),
        },
    }


def added(before: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Return what was measured before with further rounds of what was measured now."""
    if any(before[each] != found[each] for each in ("machine", "quick")):
        raise click.UsageError(
            "what is there was measured on another machine, or with other sizes: a ratio of both "
            "would mean nothing; measure all of it anew"
        )
    rounds: dict[str, int] = {}
    for run in before["runs"]:
        rounds[run["scenario"]] = max(rounds.get(run["scenario"], 0), run["round"] + 1)
    more = [
        {**run, "round": run["round"] + rounds.get(run["scenario"], 0)} for run in found["runs"]
    ]
    ran = {run["peer"] for run in more}
    return before | {
        "runs": before["runs"] + more,
        "took_s": before["took_s"] + found["took_s"],
        "peers": before["peers"] | {k: v for k, v in found["peers"].items() if k in ran},
        "note": found["note"] or before["note"],
    }


def _run(scenario: str, peer: Peer, sizes: Sizes) -> dict[str, Any]:
    busy, began = os.getloadavg()[0], time.monotonic()
    known = {"peer": peer.name, "scenario": scenario, "load": round(busy, 2)}
    try:
        figures = SCENARIOS[scenario](peer, sizes)
    except (RuntimeError, KeyError) as error:  # one peer's failure must not cost the others' runs
        known["error"] = f"{type(error).__name__}: {error}"
    else:
        known["figures"] = {name: float(f"{value:.6g}") for name, value in figures.items()}
    return known | {"took_s": round(time.monotonic() - began, 1)}


def _shown(run: dict[str, Any]) -> str:
    found = ", ".join(f"{name} {value:,.4g}" for name, value in run.get("figures", {}).items())
    return f"{run['peer']} {run['scenario']} ({run['took_s']} s): {found or run['error'][:300]}"


def _chosen(envs: Path, names: tuple[str, ...]) -> list[Peer]:
    known = peers(envs)
    wrong = set(names) - {each for peer in known for each in (peer.name, peer.module)}
    if wrong:
        there = ", ".join(repr(peer.name) for peer in known)
        raise click.BadParameter(f"no such peer: {', '.join(sorted(wrong))}; there are {there}")
    return [peer for peer in known if not names or {peer.name, peer.module} & set(names)]


if __name__ == "__main__":
    main()
