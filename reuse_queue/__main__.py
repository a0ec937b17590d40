"""python -m reuse_queue, and the program `reuse-queue`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process."""
    try:
        # Loading takes most of the time before the first answer: Ctrl-C often comes here.
        from reuse_queue.cli import commands  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    commands(prog_name="reuse-queue")


if __name__ == "__main__":
    main()
