"""A pytest plugin for rq's own tests: our worker in place of rq's, and a count of its use.

Loaded with `-p compat.rq_suite.our_worker`, before rq's tests import anything.
"""

import json
import multiprocessing
import os
from pathlib import Path

import pytest
import rq
import rq.worker

from compat.rq_suite.excluded import EXCLUDED
from reuse_worker.rq_worker import ReuseWorker

_reached: set[str] = set()
_now = ""
_unknown: set[str] = set()


class Counted(ReuseWorker):
    def work(self, *args: object, **kwargs: object) -> bool:
        _reached.add(_now)
        return super().work(*args, **kwargs)


# The two modules that rq's tests, and its command line, take the classes from.
for module in (rq, rq.worker):
    module.Worker = module.SimpleWorker = Counted


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    excluded = [item for item in items if _name(item) in EXCLUDED]
    _unknown.update(EXCLUDED.keys() - {_name(item) for item in excluded})
    config.hook.pytest_deselected(items=excluded)
    items[:] = [item for item in items if item not in excluded]


def pytest_runtest_setup(item: pytest.Item) -> None:
    global _now  # noqa: PLW0603  # one test at a time
    _now = item.nodeid


def pytest_sessionfinish() -> None:
    facts = {"reached": sorted(_reached), "unknown": sorted(_unknown)}
    Path(os.environ["RQ_SUITE_FACTS"]).write_text(json.dumps(facts))
    # Some of rq's tests signal workers that have only just been forked, and a signal that arrives
    # while Python looks after a fork is lost: Python would wait here for those to end.
    for each in multiprocessing.active_children():
        each.terminate()


def _name(item: pytest.Item) -> str:
    return item.nodeid.removeprefix("tests/")
