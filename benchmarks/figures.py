"""The figures of many runs: medians, ranges, and ours against the peers'."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks.roster import DROP_IN, OURS


class Figures:
    """What was measured, by peer and name: a value for each round."""

    def __init__(self, runs: Iterable[dict[str, Any]]) -> None:
        self._found: dict[str, dict[str, dict[int, float]]] = {}
        for run in runs:
            its = self._found.setdefault(run["peer"], {})
            for name, value in run.get("figures", {}).items():
                its.setdefault(name, {})[run["round"]] = value

    @property
    def peers(self) -> list[str]:
        """Return all names, ours first."""
        return sorted(self._found, key=lambda name: name != OURS)

    def values(self, peer: str, name: str) -> list[float]:
        """Return what was measured of one peer, round by round."""
        return list(self._found.get(peer, {}).get(name, {}).values())

    def median(self, peer: str, name: str) -> float | None:
        """Return the median over the rounds; None where nothing was measured."""
        values = self.values(peer, name)
        return statistics.median(values) if values else None

    def ours(self, name: str) -> float | None:
        """Return our median."""
        return self.median(OURS, name)

    def best(self, name: str, *, more: bool) -> tuple[str, float] | None:
        """Return the peer with the best median, and that."""
        found = [
            (peer, middle)
            for peer in self.peers
            if peer not in {OURS, DROP_IN} and (middle := self.median(peer, name)) is not None
        ]
        if not found:
            return None
        return (max if more else min)(found, key=lambda pair: pair[1])

    def known(self, names: Iterable[str]) -> bool:
        """Return whether any of these was measured."""
        return any(self.values(peer, name) for peer in self.peers for name in names)
