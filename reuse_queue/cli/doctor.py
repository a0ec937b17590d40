"""`doctor`: find what keeps a queue from working, before a job does."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from reuse_queue.broker.doctor import probe, standbys
from reuse_queue.cli import tables
from reuse_queue.cli.access import Access, json_option, with_access
from reuse_queue.cli.edge import ExitCode
from reuse_queue.cli.findings import Finding, Level, findings, standby_findings
from reuse_queue.cli.names import not_there
from reuse_queue.cli.tables import Column
from reuse_queue.cli.words import plural
from reuse_queue.environment import TaskEnvironment

_COLUMNS = (Column(""), Column("what"), Column("found", folds=True))


@click.command(short_help="Find what keeps jobs from running.")
@click.argument("targets", metavar="[MODULE:ENV]...", nargs=-1)
@json_option
@with_access
def doctor(access: Access, *, targets: tuple[str, ...], as_json: bool) -> None:
    """Check Redis, the scaler, the hosts, the environments, the queues; and that targets import.

    Exit code 1 if there is a problem, 3 if Redis cannot be reached.
    """
    found = [finding for target in targets for finding in _imports(target)]
    facts = access.run(probe(access.keys))
    here = datetime.now(UTC)
    hosts = [] if access.keys.hosts() in facts.wrong_keys else access.run(access.fleet.hosts())
    seen, unreadable = access.snapshots(), dict(access.unreadable)
    # They are findings here.
    access.unreadable.clear()
    found = [
        Finding(Level.OK, "redis", f"reached at {access.connection}"),
        *findings(facts, hosts, seen, here, unreadable),
        *standby_findings(standbys(access.connection)),
        *found,
    ]
    problems = sum(each.level is Level.PROBLEM for each in found)
    if as_json:
        tables.print_json(
            {
                "problems": problems,
                "findings": [
                    {"level": each.level.value, "what": each.what, "text": each.text}
                    for each in found
                ],
            }
        )
    else:
        tables.print_table(_COLUMNS, [[e.level.value, e.what, e.text] for e in found], "")
        click.echo(plural(problems, "problem") if problems else "No problem found.")
    raise SystemExit(ExitCode.FAILED if problems else ExitCode.OK)


def _imports(target: str) -> Iterator[Finding]:
    """Import a target as an agent in this folder would, and say what it is."""
    what = f"target {target}"
    module_name, _, attribute = target.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # an application's own code
        last = "".join(traceback.format_exception_only(error)).strip()
        yield Finding(Level.PROBLEM, what, f"{module_name} cannot be imported: {last}")
        return
    here = {k: v for k, v in vars(module).items() if isinstance(v, TaskEnvironment)}
    env = getattr(module, attribute, None)
    if isinstance(env, TaskEnvironment):
        tasks = ", ".join(env.tasks) or "none"
        yield Finding(Level.OK, what, f"environment {env.name}, tasks: {tasks}")
    elif attribute:
        text = not_there(f"TaskEnvironment in {module_name} called", attribute, [*here])
        yield Finding(Level.PROBLEM, what, text)
    else:
        written = ", ".join(f"{module_name}:{name}" for name in here) or f"{module_name}:env"
        yield Finding(Level.PROBLEM, what, f"a target is module:attribute: {written}")
