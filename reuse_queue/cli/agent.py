"""`agent`: start this machine's host agent, in place of this process."""

from __future__ import annotations

import os
import sys

import click

from reuse_queue.broker.doctor import supported
from reuse_queue.cli.access import Access, with_access


@click.command(short_help="Run replicas on this machine, as the scaler orders.")
@click.argument("targets", metavar="MODULE:ENV...", nargs=-1, required=True)
@click.option(
    "--max-replicas", type=click.IntRange(min=1), help="Replicas on this machine, at most."
)
@click.option("--strict", is_flag=True, help="End, with exit code 2, if a target cannot be loaded.")
@with_access
def agent(
    access: Access, *, targets: tuple[str, ...], max_replicas: int | None, strict: bool
) -> None:
    """Run replicas of environments on this machine, as the scaler orders them.

    SIGTERM lets them finish their jobs. One agent per machine and REUSE_QUEUE_HOST.
    """
    access.run(supported(access.keys))
    limit = [] if max_replicas is None else ["--max-replicas", str(max_replicas)]
    words = [*limit, *(["--strict"] if strict else []), *targets]
    # A URL may hold a password: it goes by the environment, which only this user can read.
    os.environ["REUSE_QUEUE_REDIS_URL"] = access.settings.redis_url
    access.close()
    os.execv(sys.executable, [sys.executable, "-m", "reuse_agent", *words])  # noqa: S606  # no shell
