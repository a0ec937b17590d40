"""`agent`: start this machine's host agent, in place of this process."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from reuse_queue.broker.doctor import supported
from reuse_queue.cli.access import Access, with_access


@click.command(short_help="Run replicas on this machine, as the scaler orders.")
@click.argument("targets", metavar="MODULE:ENV...", nargs=-1, required=True)
@click.option(
    "--max-replicas", type=click.IntRange(min=1), help="Replicas on this machine, at most."
)
@click.option("--host", help="This machine's name in Redis (REUSE_QUEUE_HOST; its host name).")
@click.option("--strict", is_flag=True, help="End, with exit code 2, if a target cannot be loaded.")
@with_access
def agent(access: Access, /, *, targets: tuple[str, ...], strict: bool, **limits: Any) -> None:
    """Run replicas of environments on this machine, as the scaler orders them.

    SIGTERM lets them finish their jobs, a second one does not; SIGHUP loads the code anew. One
    agent per host name.
    """
    access.run(supported(access.keys))
    words = ["--strict"] if strict else []
    for flag, value in (("--max-replicas", limits["max_replicas"]), ("--host", limits["host"])):
        words += [flag, str(value)] if value else []
    # A URL may hold a password: it goes by the environment, which only this user can read.
    os.environ["REUSE_QUEUE_REDIS_URL"] = access.settings.redis_url
    access.close()
    command = [sys.executable, "-m", "reuse_agent", *words, "--", *targets]
    os.execv(sys.executable, command)  # noqa: S606  # no shell
