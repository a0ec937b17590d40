"""Random call graphs: what a tree of tasks that call tasks does, and what it returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hypothesis import strategies as st

FAILED = 100
"""What a parent counts for a child that fails."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One task's call: what it waits for, and how."""

    task: str
    """Which of the application's tasks it is a call of."""
    how: str = "each"
    """In what way it waits for its children."""
    children: tuple[Node, ...] = ()
    left: tuple[Node, ...] = ()
    """What it enqueues and does not wait for."""
    fails: bool = False
    """It raises, after all that."""

    @property
    def value(self) -> int:
        """What the call returns, or would but for its failure."""
        return 1 + sum(FAILED if each.fails else each.value for each in self.children)

    def all(self) -> Iterator[Node]:
        """Yield this call and all that it leads to."""
        yield self
        for each in (*self.children, *self.left):
            yield from each.all()

    def words(self) -> Any:
        """Return it as JSON has it."""
        return asdict(self)


def call_graphs(
    tasks: Sequence[str], hows: Sequence[str], most: int = 24
) -> st.SearchStrategy[Node]:
    """Return a strategy for graphs of up to about so many calls; the root does not fail."""
    task, how = st.sampled_from(tasks), st.sampled_from(hows)
    fails = st.sampled_from((False, False, False, True))
    leaves = st.builds(Node, task=task, fails=fails)

    def parents(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        several = st.lists(inner, min_size=1, max_size=4).map(tuple)
        few = st.lists(inner, max_size=1).map(tuple)
        return st.builds(Node, task=task, how=how, children=several, left=few, fails=fails)

    inner = st.recursive(leaves, parents, max_leaves=most)
    roots = st.lists(inner, min_size=1, max_size=4).map(tuple)
    return st.builds(Node, task=task, how=how, children=roots)
