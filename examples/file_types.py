"""Identify the real type of every file under a folder, with a neural model on warm replicas.

Loading the model takes far longer than asking it, which is what reuse is for: each replica loads
it once and then answers thousands of times.

    reuse-queue run examples.file_types:env -- python -m examples.file_types [FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reuse_queue import JobHandle, ReusePolicy, TaskEnvironment

if TYPE_CHECKING:
    from magika import Magika

env = TaskEnvironment(
    name="file-types",
    reusable=ReusePolicy(replicas=(0, 3), concurrency=4, idle_ttl=45, scaledown_ttl=30),
)
_model: Magika


@env.on_start
async def load_model() -> None:
    """Load the model: in each replica, since its runtime starts threads as soon as imported."""
    global _model  # noqa: PLW0603  # what a replica keeps from job to job
    import onnxruntime  # noqa: PLC0415
    from magika import Magika  # noqa: PLC0415

    # There is a replica for each core, so a model that takes all cores for itself only gets in
    # the way of the others. Magika has no parameter for it.
    alone = onnxruntime.SessionOptions()
    alone.intra_op_num_threads = 1
    onnxruntime.InferenceSession = partial(onnxruntime.InferenceSession, sess_options=alone)
    _model = Magika()


@dataclass
class FileType:
    """What the model says of one file."""

    label: str
    description: str
    score: float


@env.task(retries=1, timeout=30)
async def identify(path: str) -> FileType:
    """Return what kind of file this is, by its contents."""
    result = await asyncio.to_thread(_model.identify_path, path)
    return FileType(result.output.label, result.output.description, round(result.score, 4))


# -- the program: everything below runs in the application, not in a replica ---------------------

_PROGRESS_S = 5.0
_COLD = "from magika import Magika; import sys; Magika().identify_path(sys.argv[1])"


async def main() -> None:
    """Identify a folder's files, say how fast that was, and watch the replicas go."""
    options = _options()
    paths = list(_files(options.folder, options.limit))
    print(f"{len(paths)} files under {options.folder}")
    cold = _cold_seconds(paths[:3])
    started = time.monotonic()
    handles = await identify.aenqueue_many([(str(path),) for path in paths])
    print(f"enqueued in {time.monotonic() - started:.2f} s; nothing is warm yet")
    types = await _gather(handles)
    took = time.monotonic() - started
    warm = await _warm_seconds(paths[:50])
    _report(types, took=took, cold=cold, warm=warm)
    if options.stay:
        await _watch_until_dormant()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.file_types")
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(sysconfig.get_paths()["stdlib"]),
        help="default: the Python installation's own",
    )
    parser.add_argument("--limit", type=int, help="look at no more files than that")
    parser.add_argument(
        "--no-stay",
        dest="stay",
        action="store_false",
        help="end at once, without watching the replicas go",
    )
    return parser.parse_args()


def _files(folder: Path, limit: int | None) -> Iterator[Path]:
    """Yield regular files, sorted; installed packages and bytecode would repeat themselves."""
    found = 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - {"site-packages", "__pycache__"})
        for name in sorted(names):
            path = Path(root, name)
            if found == limit:
                return
            if path.is_file() and not path.is_symlink():
                found += 1
                yield path


def _cold_seconds(paths: Sequence[Path]) -> float:
    """Return how long a fresh process per file takes: start, import, load, one answer."""
    started = time.monotonic()
    for path in paths:
        subprocess.run([sys.executable, "-c", _COLD, path], check=True)
    return (time.monotonic() - started) / len(paths)


async def _gather(handles: Sequence[JobHandle[FileType]]) -> Counter[str]:
    types: Counter[str] = Counter()
    shown = time.monotonic()
    for done, handle in enumerate(handles, 1):
        found = await handle.aresult(timeout=120)
        types[f"{found.label:<12} {found.description}"] += 1
        if time.monotonic() - shown > _PROGRESS_S or done == len(handles):
            shown = time.monotonic()
            print(f"  {done:>6} of {len(handles)} identified")
    return types


async def _warm_seconds(paths: Sequence[Path]) -> float:
    """Return how long one file takes from enqueue to result, one after another, when warm."""
    started = time.monotonic()
    for path in paths:
        await (await identify.aenqueue(str(path))).aresult(timeout=30)
    return (time.monotonic() - started) / len(paths)


def _report(types: Counter[str], *, took: float, cold: float, warm: float) -> None:
    print("\nfiles  type")
    for name, count in types.most_common(12):
        print(f"{count:>5}  {name}")
    if rest := types.most_common()[12:]:
        print(f"{sum(count for _, count in rest):>5}  {len(rest)} other types")
    total = types.total()
    print(f"\n{total} files in {took:.1f} s, loading included: {total / took:.0f} jobs/s")
    print(f"cold  {cold * 1000:>6.0f} ms a file (a fresh process each: start, import, load, ask)")
    print(f"warm  {warm * 1000:>6.1f} ms a file (from enqueue to result, one after another)")
    print(f"      {cold / warm:>6.0f} times as fast")


async def _watch_until_dormant() -> None:
    """Wait until the environment sleeps, saying what changes, and then show why each change was."""
    policy = env.policy
    print(
        f"\nNothing is left to do. scaledown_ttl is {policy.get_scaledown_ttl().seconds} s and "
        f"idle_ttl {policy.get_idle_ttl().seconds} s: watch the replicas go."
    )
    started, shown = time.monotonic(), ""
    while not shown.endswith("dormant, 0 replicas"):
        seen = json.loads(_command("env", "show", env.name, "--json"))
        now = f"{seen['state']}, {len(seen['replicas'])} replicas"
        if now != shown:
            shown = now
            print(f"  after {time.monotonic() - started:>3.0f} s: {now}")
        await asyncio.sleep(2)
    print("\nWhat the scaler did, and why, newest first (`reuse-queue explain file-types`):\n")
    print(_command("explain", env.name))


def _command(*words: str) -> str:
    """Return what a `reuse-queue` command prints; it finds Redis as this program does."""
    program = [sys.executable, "-m", "reuse_queue", *words]
    return subprocess.run(program, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    asyncio.run(main())
