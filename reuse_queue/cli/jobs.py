"""`jobs`: look at jobs, cancel them, put failed ones back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
from click.core import ParameterSource

from reuse_queue.cli import kin, shapes, tables, words
from reuse_queue.cli.access import LISTED, Access, json_option, with_access
from reuse_queue.cli.edge import Commands, ExitCode, Failed
from reuse_queue.cli.result import result_shape, result_text
from reuse_queue.cli.tables import Column
from reuse_queue.facts import Snapshot
from reuse_queue.job import Job, JobStatus

_BATCH = 1000
_COLUMNS = (
    Column("job"),
    Column("status"),
    Column("task", cuts=True),
    Column("since", right=True),
    Column("took", right=True),
    Column("lost", right=True),
    Column("replica", cuts=True),
)


@click.group("jobs", cls=Commands)
def jobs() -> None:
    """Jobs: list, show, cancel, retry."""


@jobs.command("list")
@click.argument("env")
@click.option(
    "--status",
    type=click.Choice([each.value for each in LISTED]),
    help="Only those of one status.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, _BATCH),
    default=20,
    show_default=True,
    help="At most so many.",
)
@json_option
@with_access
def list_jobs(access: Access, *, env: str, status: str | None, limit: int, as_json: bool) -> None:
    """List jobs of an environment, those that something happened to last first."""
    now = access.snapshot(env).at
    asked = [JobStatus(status)] if status else LISTED
    ids = [i for each in asked for i in access.run(access.queue.ids(env, each, 0, limit))]
    found = access.run(access.queue.fetch_many(ids)) if ids else []
    newest = sorted(found, key=_last, reverse=True)[:limit]
    if as_json:
        tables.print_json([shapes.job(each) for each in newest])
        return
    tables.print_table(_COLUMNS, [_row(each, now) for each in newest], f"No job in {env}.")


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@click.option("--tree", is_flag=True, help="What it has enqueued instead, and what that has.")
@click.option(
    "--depth",
    type=click.IntRange(1, 50),
    default=5,
    show_default=True,
    help="With --tree: so many levels.",
)
@click.option(
    "--width",
    type=click.IntRange(1, 500),
    default=10,
    show_default=True,
    help="With --tree: at most so many jobs of each; those that failed first.",
)
@json_option
@with_access
def show_job(
    access: Access, *, job_id: str, tree: bool, depth: int, width: int, as_json: bool
) -> None:
    """Show one job: its task, its times, its losses, and its result or traceback.

    A result is decoded only if its environment's serializer is JSON: pickle could run code.
    """
    if not tree and (ignored := _given("depth", "width")):
        raise click.UsageError(f"--{ignored[0]} is about a tree: add --tree")
    job = access.job(job_id)
    if tree:
        root = kin.tree(access, job, depth, width)
        if as_json:
            tables.print_json(kin.shape(root))
        else:
            seen = _surroundings(access, job)
            kin.print_tree(root, seen.at if seen else datetime.now(UTC))
        return
    _, record = access.run(access.queue.result(job_id))
    seen = _surroundings(access, job)
    # A queue that no environment is known for is rq's, whose default is pickle.
    serializer = seen.environment.serializer if seen else "pickle"
    if as_json:
        tables.print_json(shapes.job(job) | result_shape(record, serializer))
        return
    now = seen.at if seen else datetime.now(UTC)
    tables.print_fields([*_fields(job, now), *result_text(record, serializer)])


@jobs.command("cancel")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_access
def cancel(access: Access, *, job_ids: tuple[str, ...]) -> None:
    """Cancel jobs: waiting ones at once, running ones by their replica.

    Exit code 1 if one had ended already.
    """
    before = access.run(access.queue.cancel(job_ids))
    kept = 0
    for job_id, status in zip(job_ids, before, strict=True):
        if status is None:
            continue
        click.echo(f"{job_id} {_canceled(status)}")
        kept += status.ended and status is not JobStatus.CANCELED
    _end(access, job_ids, before, f"{words.plural(kept, 'job')} had ended" if kept else "")


@jobs.command("retry")
@click.argument("job_ids", metavar="ID...", nargs=-1)
@click.option("--all-failed", "env", metavar="ENV", help="All failed jobs of an environment.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_access
def retry(access: Access, *, job_ids: tuple[str, ...], env: str | None, yes: bool) -> None:
    """Put failed or canceled jobs back into their queue.

    Exit code 1 if one is in another status.
    """
    if bool(job_ids) == bool(env):
        raise click.UsageError("give job ids, or --all-failed ENV")
    if env:
        _retry_all(access, env, yes=yes)
        return
    before = access.run(access.queue.requeue(job_ids))
    kept = 0
    for job_id, status in zip(job_ids, before, strict=True):
        if status is None:
            continue
        back = status in _RETRIED
        click.echo(f"{job_id} is queued again" if back else f"{job_id} is left as it is: {status}")
        kept += not back
    _end(access, job_ids, before, f"{words.plural(kept, 'job')} had not failed" if kept else "")


_RETRIED = (JobStatus.FAILED, JobStatus.CANCELED, JobStatus.STOPPED)


def _retry_all(access: Access, env: str, *, yes: bool) -> None:
    access.snapshot(env)
    total = access.run(access.queue.counts(env)).get(JobStatus.FAILED, 0)
    if total and not yes:
        click.confirm(f"Put {words.plural(total, 'failed job')} of {env} back?", abort=True)
    back, passed, looked = 0, 0, 0
    # No more than there were: a job that fails again at once is not put back for ever.
    while looked < total:
        wanted = min(_BATCH, total - looked)
        ids = access.run(access.queue.ids(env, JobStatus.FAILED, passed, wanted))
        if not ids:
            break
        before = access.run(access.queue.requeue(ids))
        moved = sum(status in _RETRIED for status in before)
        back, passed, looked = back + moved, passed + len(ids) - moved, looked + len(ids)
    click.echo(f"{words.plural(back, 'job')} of {env} queued again")


def _canceled(status: JobStatus) -> str:
    if status is JobStatus.CANCELED:
        return "was canceled before"
    if status.ended:
        return f"is left as it is: {status}"
    if status is JobStatus.STARTED:
        return "runs: its replica was told to cancel it"
    return f"is canceled (it was {status})"


def _end(access: Access, ids: tuple[str, ...], before: list[JobStatus | None], failed: str) -> None:
    """End with what went wrong, if anything: an id that is not there, else what failed."""
    absent = [job_id for job_id, status in zip(ids, before, strict=True) if status is None]
    if absent:
        raise Failed("\n".join(str(access.no_job(each)) for each in absent), ExitCode.NOT_FOUND)
    if failed:
        raise Failed(failed)


def _given(*options: str) -> list[str]:
    source = click.get_current_context().get_parameter_source
    return [each for each in options if source(each) is not ParameterSource.DEFAULT]


def _surroundings(access: Access, job: Job) -> Snapshot | None:
    known = access.run(access.fleet.environments())
    return access.snapshot(job.environment) if job.environment in known else None


def _last(job: Job) -> datetime:
    times = (job.ended_at, job.started_at, job.enqueued_at, job.created_at)
    return next((each for each in times if each), datetime.min.replace(tzinfo=UTC))


def _row(job: Job, now: datetime) -> list[str]:
    return [
        job.id,
        job.status.value,
        job.task,
        words.age(_last(job), now),
        words.took(job, now),
        str(job.deliveries_lost or ""),
        job.replica,
    ]


def _limit(span: timedelta | None, until: datetime | None, now: datetime) -> str:
    """Return a limit, and where it still counts, when it is over; empty for none."""
    if span is None:
        return ""
    over = f", over {words.moment(until, now)}" if until else ""
    return f"{words.duration(span)}{over}"


def _decided(job: Job) -> str:
    if job.decided is None:
        return ""
    last = job.decided.text.strip().rpartition("\n")[2].removeprefix("reuse_queue.errors.")
    why = f", {last}" if last else ""
    return f"{job.decided.verdict.value}{why}; a replica has yet to call what it names for that"


def _fields(job: Job, now: datetime) -> list[tuple[str, str]]:
    return [
        ("job", job.id),
        ("status", job.status.value),
        ("environment", job.environment),
        ("task", job.task),
        ("description", job.description if job.description != job.task else ""),
        ("created", words.moment(job.created_at, now)),
        ("enqueued", words.moment(job.enqueued_at, now)),
        ("due", words.moment(job.due_at, now)),
        ("started", words.moment(job.started_at, now)),
        ("ended", words.moment(job.ended_at, now)),
        ("took", words.took(job, now)),
        ("timeout", words.duration(job.timeout) if job.timeout else "none"),
        ("queue timeout", _limit(job.queue_timeout, job.start_by, now)),
        ("deadline", _limit(job.deadline, job.end_by, now)),
        ("retries left", str(job.retries_left)),
        ("replica", job.replica),
        ("parent", f"{job.parent}{', detached' if job.detached else ''}"),
        ("children", f"{job.children:,}" if job.children else ""),
        ("waits for", "\n".join(job.dependencies)),
        ("lost", str(job.deliveries_lost or "")),
        ("deaths", "\n".join(job.deaths)),
        ("has ended", _decided(job)),
    ]
