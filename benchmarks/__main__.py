"""Measure every peer in one run, interleaved: `python -m benchmarks [PEER …]`.

Each scenario runs for all peers before the next one starts, and the whole is repeated; what is
reported is the median of a peer's runs, with the range. Figures go to JSON, a table and a plot
(`python -m benchmarks --report FILE.json`) to docs/performance.md.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from pathlib import Path

import click

from benchmarks.harness import ROOT, Peer
from benchmarks.report import write
from benchmarks.scenarios import SCENARIOS

OURS = "reuse_queue"


def peers(folder: Path) -> list[Peer]:
    """Return all peers, with the Python of the environment that each lives in."""

    def python(name: str) -> str:
        return str(folder / name / "bin" / "python")

    main, arq, taskiq = python("main"), python("arq"), python("taskiq")
    return [
        Peer(OURS, "reuse", main, 100, 30_000, "reuse-queue"),
        Peer("rq SimpleWorker", "rq_simple", main, 1, 600, "rq"),
        Peer("rq Worker", "rq_fork", main, 1, 150, "rq"),
        Peer("celery", "celery_solo", main, 100, 4_000, "celery"),
        Peer("dramatiq", "dramatiq_threads", main, 8, 8_000, "dramatiq"),
        Peer("huey", "huey_threads", main, 8, 12_000, "huey"),
        Peer("arq", "arq_fast", arq, 100, 4_000, "arq"),
        Peer("saq", "saq_async", main, 100, 5_000, "saq"),
        Peer("streaq", "streaq_async", main, 100, 4_000, "streaq"),
        Peer("taskiq", "taskiq_stream", taskiq, 100, 5_000, "taskiq"),
        Peer("docket", "docket_async", main, 100, 6_000, "pydocket"),
    ]


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--scenario", "only", multiple=True, type=click.Choice(list(SCENARIOS)))
@click.option("--rounds", default=3, show_default=True)
@click.option("--envs", default=str(ROOT / ".venv-bench"), show_default=False, type=Path)
@click.option("--out", default="benchmarks/results.json", show_default=True, type=Path)
@click.option("--report", type=click.Path(exists=True, path_type=Path), help="Only write it.")
def main(
    names: tuple[str, ...], only: tuple[str, ...], rounds: int, envs: Path, out: Path, **more: Path
) -> None:
    """Run, then report."""
    if not more["report"]:
        chosen = [p for p in peers(envs) if not names or p.name in names or p.module in names]
        if not chosen:
            raise click.BadParameter(f"no such peer; there are {[p.name for p in peers(envs)]}")
        out.write_text(json.dumps(measure(chosen, only or tuple(SCENARIOS), rounds), indent=1))
    write(json.loads((more["report"] or out).read_text()), ROOT / "docs")


def measure(chosen: list[Peer], scenarios: tuple[str, ...], rounds: int) -> dict[str, object]:
    """Return every figure of every run, and where it was run."""
    runs: list[dict[str, object]] = []
    for turn in range(rounds):
        for scenario in scenarios:
            for peer in chosen if turn % 2 == 0 else reversed(chosen):
                busy = os.getloadavg()[0]
                began = time.monotonic()
                try:
                    figures = SCENARIOS[scenario](peer)
                except RuntimeError as error:
                    print(f"{peer.name} {scenario}: {error}", file=sys.stderr)
                    continue
                took = time.monotonic() - began
                shown = ", ".join(f"{k} {v:,.2f}" for k, v in figures.items())
                print(f"[{turn + 1}/{rounds}] {peer.name}: {shown}", flush=True)
                runs.append(
                    {"peer": peer.name, "scenario": scenario, "took_s": took, "load": busy}
                    | {"figures": figures}
                )
    return {
        "runs": runs,
        "versions": {peer.name: peer.release() for peer in chosen},
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "ours": OURS,
    }


if __name__ == "__main__":
    main()
