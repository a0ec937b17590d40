# ruff: noqa: RUF001  # a range is written with its dash, a ratio with its sign
"""What ./dev bench says about what it measured."""

import os
import threading
from pathlib import Path
from typing import Any

import click
import pytest

from benchmarks import claiming, meter
from benchmarks.__main__ import added
from benchmarks.figures import Figures
from benchmarks.page import page
from reuse_worker import batch

TEMPLATE = "before\n<!-- figures -->\nold\n<!-- end of figures -->\nafter\n"


def results(ours: dict[str, list[float]], **peers: dict[str, list[float]]) -> dict[str, Any]:
    """Return figures as they are kept: a value for each round."""
    runs = [
        {"peer": peer, "scenario": "any", "round": at, "load": 0.5, "figures": {name: value}}
        for peer, figures in {"reuse_queue": ours, **peers}.items()
        for name, values in figures.items()
        for at, value in enumerate(values)
    ]
    return {
        "runs": runs,
        "rounds": 3,
        "quick": False,
        "took_s": 60,
        "peers": {
            peer: {"version": "1", "settings": "its own"} for peer in ("reuse_queue", *peers)
        },
        "machine": {"cores": 2, "python": "3.11", "redis": "Redis 7"},
    }


def test_a_page_compares_medians_with_those_of_the_best_peer() -> None:
    found = page(
        results(
            {"drain1_per_s": [900, 1000, 5000], "drain1_redis_us": [40, 41, 39]},
            huey={"drain1_per_s": [200, 210, 190], "drain1_redis_us": [80]},
            celery={"drain1_per_s": [100, 100, 100], "drain1_redis_us": [100]},
        ),
        TEMPLATE,
    )
    assert "| **reuse_queue** | 1,000 (900–5,000) | 40 (39–41) |" in found
    assert "| *ours against the best peer* | 5.00× | 0.50× |" in found
    assert found.startswith("before\n")
    assert found.endswith("after\n")
    assert "old" not in found


@pytest.mark.parametrize(("ours", "verdict"), [(800, "| met |"), (799, "| **not met** |")])
def test_a_target_is_met_at_its_limit_and_not_below(ours: float, verdict: str) -> None:
    found = page(results({"drain1_per_s": [ours]}, huey={"drain1_per_s": [200]}), TEMPLATE)
    row = next(line for line in found.splitlines() if "against the fastest peer" in line)
    assert row.endswith(verdict)
    assert f"{ours}/s against huey's 200/s" in row


def test_a_failed_run_is_named_and_not_counted() -> None:
    known = results({"drain1_per_s": [800]}, huey={"drain1_per_s": [200]})
    known["runs"].append(
        {"peer": "huey", "scenario": "drain", "round": 1, "load": 0.0, "error": "it hung"}
    )
    assert "left out: huey (drain)." in page(known, TEMPLATE)


def test_further_rounds_are_put_beside_what_was_measured() -> None:
    before = results({"drain1_per_s": [800, 900]}) | {"note": "on a Sunday"}
    now = results({"drain1_per_s": [700]}, huey={"drain1_per_s": [100]}) | {"note": ""}
    now["runs"].append({"peer": "huey", "scenario": "other", "round": 0, "figures": {"x": 1}})
    found = added(before, now)
    assert Figures(found["runs"]).values("reuse_queue", "drain1_per_s") == [800, 900, 700]
    assert [run["round"] for run in found["runs"]] == [0, 1, 2, 2, 0]
    assert found["peers"].keys() == {"reuse_queue", "huey"}
    assert (found["note"], found["took_s"], found["rounds"]) == ("on a Sunday", 120, 3)
    with pytest.raises(click.UsageError, match="another machine"):
        added(before | {"machine": "another"}, now)


def test_a_parent_that_hangs_is_beside_one_that_does_not() -> None:
    found = page(results({"alone_s": [0.03]}, huey={"alone_given_up_s": [30]}), TEMPLATE)
    assert "| **reuse_queue** | 0.030 | – |" in found
    assert "| huey | – | 30 |" in found
    assert "| a parent of ten in the only slot there is | ≤ 1 s | 0.030 s | met |" in found


def test_the_meter_counts_every_body_of_threads_and_forks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_METER", str(tmp_path))
    monkeypatch.setattr(meter, "_meter", meter._Meter())

    def work() -> None:
        for _ in range(500):
            meter.hit()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = os.fork()
    if not child:
        meter.hit(7)
        os._exit(0)
    os.waitpid(child, 0)

    reading = meter.Reading(tmp_path)
    assert (reading.count, reading.processes) == (2001, 2)
    assert len(reading.starts) == 2001
    assert list(reading.by_index) == [7]
    assert reading.first <= reading.starts[0] <= reading.starts[-1] == reading.last


@pytest.fixture
def most_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_AHEAD", batch.MOST_AHEAD)


def test_fairness_is_compared_with_claims_of_no_more_than_there_are_slots(most_ahead: None) -> None:
    assert claiming._ahead() > 10
    claiming.one_by_one()
    assert claiming._ahead() == 0


def test_a_limit_that_limits_nothing_any_more_is_no_silent_comparison(
    most_ahead: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "claim_size", lambda **_: 50)
    with pytest.raises(RuntimeError, match="MOST_AHEAD limits nothing"):
        claiming.one_by_one()
    monkeypatch.setattr(batch, "claim_size", lambda **_: 1)
    with pytest.raises(RuntimeError, match="claims nothing ahead"):
        claiming.one_by_one()
