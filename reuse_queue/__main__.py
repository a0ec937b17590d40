"""python -m reuse_queue, and the program `reuse-queue`."""

from __future__ import annotations

from reuse_queue.cli import commands


def main() -> None:
    """Run the command line of this process."""
    commands(prog_name="reuse-queue")


if __name__ == "__main__":
    main()
