"""What `python -m reuse_worker` does: a zygote, or one spawned replica."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence

from reuse_queue import log
from reuse_queue.broker import scripts
from reuse_queue.settings import Settings
from reuse_worker import spawn
from reuse_worker.zygote import Zygote


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line says; the process ends here."""
    options = _parser().parse_args(arguments)
    spawn.tie_to(options.agent)
    settings = Settings.from_env()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # of a real process
    log.configure(settings)
    scripts.warm()
    if options.role == "zygote":
        channel = socket.socket(fileno=options.channel)
        channel.set_inheritable(False)
        spawn.end_with(Zygote(options.target, options.agent, channel, settings).run)
    spawn.end_with(
        lambda: spawn.spawned(
            options.target,
            options.name,
            options.version,
            options.board,
            options.note,
            settings,
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reuse_worker",
        description="The processes that a host agent starts; nobody else needs to.",
    )
    roles = parser.add_subparsers(dest="role", required=True)
    zygote = roles.add_parser("zygote", help="load a target and fork replicas of it")
    zygote.add_argument("--channel", type=int, required=True, help="descriptor of the agent's pair")
    replica = roles.add_parser("replica", help="load a target and be one replica")
    replica.add_argument("--name", required=True)
    replica.add_argument("--version", required=True)
    replica.add_argument("--board", type=int, required=True, help="descriptor of its board")
    replica.add_argument("--note", type=int, required=True, help="descriptor of its note")
    for each in (zygote, replica):
        each.add_argument("target", help="module:attribute of a TaskEnvironment")
        each.add_argument("--agent", type=int, required=True, help="the agent's process id")
    return parser
