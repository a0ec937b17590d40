"""The job: leaves a mark, and the first time runs for longer than anybody waits."""

import os
import time
from pathlib import Path

REDIS = os.environ.get("DEATHS_REDIS", "")
_LONG_S = 3600


def run() -> None:
    marks = Path(os.environ["DEATHS_MARKS"])
    first = not marks.exists()
    with marks.open("a") as lines:
        lines.write(f"{os.getpid()} {time.monotonic()}\n")
    if first:
        time.sleep(_LONG_S)
