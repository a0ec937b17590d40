"""Count the words of all text files under a folder: tasks that call tasks, down to single files.

`tally` splits its files among children of its own kind until few are left, then maps `count` over
those, and adds up what comes back: the whole tree finishes on a single replica with a single slot.

    reuse-queue run examples.mapreduce:env -- python -m examples.mapreduce [FOLDER]
    REPLICAS=1 reuse-queue run examples.mapreduce:env -- python -m examples.mapreduce [FOLDER]
"""

from __future__ import annotations

import argparse
import os
import re
import sysconfig
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from reuse_queue import ReusePolicy, TaskEnvironment, agather

env = TaskEnvironment(
    name="mapreduce",
    # One job at a time: with REPLICAS=1 there is one slot for all of them.
    reusable=ReusePolicy(replicas=(0, int(os.environ.get("REPLICAS", "2"))), concurrency=1),
)
_WORD = re.compile(r"[^\W\d_]{3,}")
_BRANCHES = 4
_LEAVES = 16


@dataclass
class Words:
    """What was counted, and the work that it took."""

    counts: dict[str, int] = field(default_factory=dict)
    files: int = 0
    jobs: int = 0
    levels: int = 0


@env.task
def count(path: str) -> Words:
    """Return how often each word is in a file; one that is no text has none."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return Words(jobs=1, levels=1)
    return Words(Counter(_WORD.findall(text.lower())), files=1, jobs=1, levels=1)


@env.task
async def tally(paths: list[str]) -> Words:
    """Return how often each word is in all of these files."""
    if len(paths) <= _LEAVES:
        return _sum([each async for each in count.amap(paths, as_completed=True)])
    parts = [paths[start::_BRANCHES] for start in range(_BRANCHES)]
    return _sum(await agather(*await tally.aenqueue_many([(part,) for part in parts])))


def _sum(parts: Iterable[Words]) -> Words:
    counts: Counter[str] = Counter()
    files = levels = 0
    jobs = 1
    for part in parts:
        counts.update(part.counts)
        files, jobs, levels = files + part.files, jobs + part.jobs, max(levels, part.levels)
    return Words(counts, files, jobs, levels + 1)


# -- the program: everything below runs in the application, not in a replica ---------------------


def main() -> None:
    """Print the commonest words of a folder's files."""
    folder = _folder()
    paths = [str(path) for path in _files(folder)]
    started = time.monotonic()
    words = tally.enqueue_and_wait(paths)
    took = time.monotonic() - started
    print(f"{words.files} text files of {len(paths)} under {folder}")
    for word, times in sorted(words.counts.items(), key=lambda each: (-each[1], each[0]))[:12]:
        print(f"{times:>9,}  {word}")
    print(f"{sum(words.counts.values()):>9,}  words, {len(words.counts):,} different ones")
    print(f"in {words.jobs:,} jobs, {words.levels} levels deep, in {took:.1f} s")


def _folder() -> Path:
    parser = argparse.ArgumentParser(prog="python -m examples.mapreduce")
    default = Path(sysconfig.get_paths()["stdlib"])
    parser.add_argument(
        "folder", nargs="?", type=Path, default=default, help="default: Python's own"
    )
    folder: Path = parser.parse_args().folder
    if not folder.is_dir():
        parser.error(f"there is no folder {folder}")
    return folder


def _files(folder: Path) -> Iterator[Path]:
    """Yield regular files, sorted; installed packages and bytecode would repeat themselves."""
    for root, folders, names in os.walk(folder.resolve()):
        folders[:] = sorted(set(folders) - {"site-packages", "__pycache__"})
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                yield path


if __name__ == "__main__":
    main()
