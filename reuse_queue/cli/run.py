"""`run`: everything on this machine, with one command."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import click

from reuse_queue.broker.doctor import ServerFacts, supported
from reuse_queue.cli.access import Access, redis_option, settings_for
from reuse_queue.cli.edge import Failed
from reuse_queue.cli.session import Plan, Session
from reuse_queue.cli.views import ViewKind, make_view
from reuse_queue.embedded import DATA_FOLDER, EmbeddedRedis, make_folder


class _WithCommand(click.Command):
    """A command line that ends with another one, after `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what follows `--` apart."""
        command: list[str] = []
        if "--" in args:
            place = args.index("--")
            args, command = args[:place], args[place + 1 :]
            if not command:
                raise click.UsageError("a command must follow --", ctx)
        ctx.meta["command"] = tuple(command)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the usage line's parts, the other command's too."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND ...]"]


@click.command(cls=_WithCommand, short_help="Run environments on this machine, with one command.")
@click.argument("targets", metavar="MODULE:ENV...", nargs=-1, required=True)
@redis_option("it starts one, whose data stays in the folder")
@click.option(
    "--data",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=DATA_FOLDER,
    show_default=True,
    help="Folder for the logs, and for the data of the Redis that it starts.",
)
@click.option(
    "--max-replicas", type=click.IntRange(min=1), help="Replicas on this machine, at most."
)
@click.option(
    "--view",
    type=click.Choice([each.value for each in ViewKind]),
    default=ViewKind.AUTO.value,
    show_default=True,
    help="live: a screen, or with a COMMAND a panel below its output. plain: lines about what "
    "changes. auto: live on a terminal that no COMMAND shares, else plain.",
)
@click.pass_context
def run(
    ctx: click.Context, /, *, targets: tuple[str, ...], redis_url: str | None, **how: Any
) -> None:
    """Run environments here: Redis (unless a URL is given), scaler, agent and replicas.

    Ctrl-C lets replicas finish their jobs and stops everything; Ctrl-C again stops at once. Jobs
    that are still queued are there for the next run in this folder.

    With a COMMAND after --, runs it with REUSE_QUEUE_REDIS_URL set, and ends when it ends, with
    its exit code. The command's output is its own: what `run` says goes to standard error.
    """
    command: tuple[str, ...] = ctx.meta["command"]
    if command and shutil.which(command[0]) is None:
        raise click.UsageError(f"there is no command {command[0]!r}")
    # Until the session listens itself, a SIGTERM must clean up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder: Path = how["folder"]
    make_folder(folder)
    with ExitStack() as stack:
        server = None if redis_url else stack.enter_context(EmbeddedRedis(folder))
        settings = settings_for(server.url if server else redis_url)
        access = stack.enter_context(closing(Access(settings)))
        facts = access.run(supported(access.keys))
        plan = Plan(
            targets=targets, folder=folder, max_replicas=how["max_replicas"], command=command
        )
        title = _title(facts, access, server, folder)
        view = make_view(ViewKind(how["view"]), title, with_command=bool(command))
        session = Session(plan, access, server, view)
        try:
            ending = asyncio.run(session.run())
        finally:
            view.close()
    if ending.message:
        raise Failed(ending.message, ending.code)
    if how["view"] != ViewKind.NONE:
        click.echo(f"reuse-queue  {session.left_over()}; see {folder}", err=bool(command))
    sys.exit(ending.code)


def _title(facts: ServerFacts, access: Access, server: EmbeddedRedis | None, folder: Path) -> str:
    program = f"{facts.product} {facts.version}"
    if server:
        return f"{program}, data in {folder}"
    return f"{program} at {access.connection}"
