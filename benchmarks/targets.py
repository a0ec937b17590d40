# ruff: noqa: RUF001  # a ratio is written with its sign
"""What was aimed at, and whether it was reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figures import Figures
from benchmarks.roster import OURS, RQ


@dataclass(frozen=True)
class Target:
    """One aim: a measure of the figures, and the limit it is to keep."""

    what: str
    aim: str
    measure: Callable[[Figures], float | None]
    form: str
    at_least: float | None = None
    at_most: float | None = None
    beside: Callable[[Figures], str] = lambda _: ""
    """What the measure was taken of, in words."""

    def line(self, figures: Figures) -> str | None:
        """Return the row of the table; None where it was not measured."""
        value = self.measure(figures)
        if value is None:
            return None
        verdict = "met" if self._met(value) else "**not met**"
        beside = self.beside(figures)
        shown = self.form.format(value) + (f" ({beside})" if beside else "")
        return f"| {self.what} | {self.aim} | {shown} | {verdict} |"

    def _met(self, value: float) -> bool:
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most


def _ratio(name: str, other: Callable[[Figures], float | None]) -> Callable[..., float | None]:
    def measure(figures: Figures) -> float | None:
        mine, theirs = figures.ours(name), other(figures)
        return mine / theirs if mine is not None and theirs else None

    return measure


def _best(name: str, *, more: bool) -> Callable[[Figures], float | None]:
    def value(figures: Figures) -> float | None:
        found = figures.best(name, more=more)
        return found[1] if found else None

    return value


def _of(peer: str, name: str) -> Callable[[Figures], float | None]:
    return lambda figures: figures.median(peer, name)


def _inverse(measure: Callable[[Figures], float | None]) -> Callable[[Figures], float | None]:
    def value(figures: Figures) -> float | None:
        found = measure(figures)
        return 1 / found if found else None

    return value


def _named(name: str, form: str, *, more: bool) -> Callable[[Figures], str]:
    def words(figures: Figures) -> str:
        found = figures.best(name, more=more)
        mine = figures.ours(name)
        if found is None or mine is None:
            return ""
        return f"{form.format(mine)} against {found[0]}'s {form.format(found[1])}"

    return words


def _both(name: str, other: str, form: str, word: str = "of") -> Callable[[Figures], str]:
    def words(figures: Figures) -> str:
        mine, theirs = figures.ours(name), figures.ours(other)
        return f"{form.format(mine)} {word} {form.format(theirs)}"

    return words


TARGETS = [
    Target(
        "no-ops drained, against the fastest peer",
        "≥ 4×",
        _ratio("drain1_per_s", _best("drain1_per_s", more=True)),
        "{:.1f}×",
        at_least=4,
        beside=_named("drain1_per_s", "{:,.0f}/s", more=True),
    ),
    Target(
        "no-ops drained, against rq's SimpleWorker",
        "≥ 40×",
        _ratio("drain1_per_s", _of(RQ, "drain1_per_s")),
        "{:.0f}×",
        at_least=40,
    ),
    Target(
        "no-ops drained, against a loop of our scripts alone",
        "≥ 65 %",
        _ratio("drain1_per_s", _of(OURS, "scripts_per_s")),
        "{:.0%}",
        at_least=0.65,
        beside=_both("drain1_per_s", "scripts_per_s", "{:,.0f}/s"),
    ),
    Target(
        "Redis CPU for each job under backlog",
        "≤ 40 µs",
        _of(OURS, "drain1_redis_us"),
        "{:.0f} µs",
        at_most=40,
    ),
    Target(
        "round trips for each job under backlog",
        "≤ 0.1",
        _of(OURS, "drain1_round_trips"),
        "{:.3f}",
        at_most=0.1,
    ),
    Target(
        "enqueue one by one, against rq",
        "≥ 2.5×",
        _ratio("enqueue_one_per_s", _of(RQ, "enqueue_one_per_s")),
        "{:.2f}×",
        at_least=2.5,
    ),
    Target(
        "enqueue in bulk, against the best peer",
        "≥ 2.5×",
        _ratio("enqueue_bulk_per_s", _best("enqueue_bulk_per_s", more=True)),
        "{:.2f}×",
        at_least=2.5,
        beside=_named("enqueue_bulk_per_s", "{:,.0f}/s", more=True),
    ),
    Target(
        "tasks of 10 ms at concurrency 100, of the ideal 10,000/s",
        "≥ 80 %",
        _of(OURS, "sleep10_of_ideal"),
        "{:.0%}",
        at_least=0.8,
    ),
    Target(
        "idle latency, median, against the best peer's",
        "≤ 1×",
        _ratio("latency_p50_ms", _best("latency_p50_ms", more=False)),
        "{:.2f}×",
        at_most=1,
        beside=_named("latency_p50_ms", "{:.2f} ms", more=False),
    ),
    Target(
        "idle latency, p99 against its own median",
        "≤ 2×",
        _ratio("latency_p99_ms", _of(OURS, "latency_p50_ms")),
        "{:.2f}×",
        at_most=2,
    ),
    Target(
        "a new replica of a warm zygote runs its first job, sooner than the fastest peer's worker",
        "≥ 15×",
        _inverse(_ratio("ordered_ms", _best("new_worker_ms", more=False))),
        "{:.1f}×",
        at_least=15,
        beside=_both("ordered_ms", "new_worker_ms", "{:.1f} ms", "after its order, after the job"),
    ),
    Target(
        "memory of a further replica",
        "≤ 8 MiB",
        _of(OURS, "further_mib"),
        "{:.1f} MiB",
        at_most=8,
    ),
    Target(
        "enqueue rate beside a very long queue, against a short one",
        "≥ 0.9×",
        _ratio("depth_enqueue_many_per_s", _of(OURS, "depth_enqueue_few_per_s")),
        "{:.2f}×",
        at_least=0.9,
    ),
    Target(
        "drain rate of a very long queue, against a short one",
        "≥ 0.9×",
        _ratio("depth_drain_many_per_s", _of(OURS, "depth_drain_few_per_s")),
        "{:.2f}×",
        at_least=0.9,
    ),
    Target(
        "time of a claim from a very long queue, against a short one",
        "≤ 1.2×",
        _ratio("depth_claim_p50_ms_many", _of(OURS, "depth_claim_p50_ms_few")),
        "{:.2f}×",
        at_most=1.2,
    ),
    Target(
        "a parent's 10,000 children, against the fastest peer",
        "≥ 4×",
        _inverse(_ratio("fanout_s", _best("fanout_s", more=False))),
        "{:.1f}×",
        at_least=4,
        beside=_named("fanout_s", "{:.2f} s", more=False),
    ),
    Target(
        "round trips for each child, from its enqueue to its result",
        "≤ 0.1",
        _of(OURS, "fanout_round_trips"),
        "{:.3f}",
        at_most=0.1,
    ),
    Target(
        "a parent of ten in the only slot there is",
        "≤ 1 s",
        _of(OURS, "alone_s"),
        "{:.3f} s",
        at_most=1,
    ),
    Target(
        "a short job behind a long one waits no longer than",
        "150 ms",
        _of(OURS, "fair_ahead_late_worst_ms"),
        "{:.0f} ms",
        at_most=150,
        beside=_both("fair_ahead_late_worst_ms", "fair_one_late_worst_ms", "{:.0f} ms", "against"),
    ),
    Target(
        "a short job that comes while one of two replicas has a long one, median wait against that "
        "with claims of one",
        "≤ 1.2×",
        _ratio("fair_ahead_beside_p50_ms", _of(OURS, "fair_one_beside_p50_ms")),
        "{:.2f}×",
        at_most=1.2,
    ),
]
