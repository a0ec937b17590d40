"""The tables: which figures stand in which column."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One figure of every peer."""

    figure: str
    heading: str
    form: str
    more: bool | None = None
    """More is better, or less; None: neither."""


@dataclass(frozen=True)
class Table:
    """Some columns that belong together, and what is to be said of them."""

    title: str
    columns: tuple[Column, ...]
    note: str = ""


TABLES = [
    Table(
        "Drain of no-op jobs",
        (
            Column("drain1_per_s", "1 process, jobs/s", ",.0f", more=True),
            Column("drain2_per_s", "2 processes, jobs/s", ",.0f", more=True),
            Column("drain1_worker_us", "worker CPU, µs/job", ",.0f", more=False),
            Column("drain1_redis_us", "Redis CPU, µs/job", ",.0f", more=False),
            Column("drain1_commands", "commands/job", ".1f"),
            Column("drain1_round_trips", "network reads/job", ".2f", more=False),
        ),
        "From the end of the enqueueing to the last body, by workers that run already. With two "
        "worker processes, Redis and the operating system three processes share the cores. "
        "Commands count those inside scripts; reads are Redis' `total_reads_processed`.",
    ),
    Table(
        "Enqueue, from one process",
        (
            Column("enqueue_one_per_s", "one by one, jobs/s", ",.0f", more=True),
            Column("enqueue_bulk_per_s", "in bulk, jobs/s", ",.0f", more=True),
            Column("enqueue_commands", "commands/job", ".1f"),
            Column("enqueue_round_trips", "network reads/job", ".2f", more=False),
            Column("bytes_per_queued_job", "Redis bytes/queued job", ",.0f", more=False),
        ),
        "Commands and reads are those of jobs enqueued one by one.",
    ),
    Table(
        "Tasks that wait 10 ms; no-ops and 1 ms of CPU at concurrency 1",
        (
            Column("sleep10_per_s", "10 ms at concurrency 100, jobs/s", ",.0f", more=True),
            Column("sleep10_of_ideal", "of the ideal", ".0%"),
            Column("sync_per_s", "sync no-op, jobs/s", ",.0f", more=True),
            Column("cpu1_per_s", "1 ms of CPU, jobs/s", ",.0f", more=True),
        ),
        "rq has no concurrency within a worker: its ideal is 100/s. At concurrency 1, peers that "
        "run coroutines only (arq, saq, streaq, taskiq, docket) run coroutines.",
    ),
    Table(
        "Idle latency and start",
        (
            Column("latency_p50_ms", "enqueue → body, median ms", ".2f", more=False),
            Column("latency_p99_ms", "p99 ms", ".2f", more=False),
            Column("cold_ms", "from nothing → first body, ms", ",.0f", more=False),
            Column("new_worker_ms", "a further worker → first body, ms", ",.1f", more=False),
            Column("ordered_ms", "of it from its order on, ms", ",.1f"),
        ),
        "From nothing: the worker is spawned and a job waits; with reuse_queue that is a scaler, "
        "an agent, a zygote and a replica. A further worker is spawned in the same way, but with "
        "reuse_queue: its agent and zygote are there, and what is counted begins with the enqueue "
        "of the job that has the scaler order a replica.",
    ),
    Table(
        "Memory",
        (
            Column("first_mib", "with one worker, MiB", ",.1f", more=False),
            Column("further_mib", "each further one, MiB", ",.1f", more=False),
        ),
        "Proportional set size of all processes (reuse_queue: scaler, agent and zygote too) after "
        "some work. Each further one: half of what three workers need beyond one; replicas of one "
        "zygote, or worker processes.",
    ),
    Table(
        "A burst of 10,000 no-ops",
        (
            Column("burst_s", "until the last body, s", ".2f", more=False),
            Column("burst_replica_s", "replica-seconds until then", ".2f", more=False),
            Column("burst_minute_replica_s", "replica-seconds in the minute", ",.0f", more=False),
        ),
        "reuse_queue's environment is dormant when they come, starts up to two replicas and lets "
        "them go once they have been idle for `scaledown_ttl` (30 s); the peers have two workers, "
        "which are there before, and stay.",
    ),
    Table(
        "A very long queue",
        (
            Column("depth_enqueue_few_per_s", "bulk enqueue, first 20,000, jobs/s", ",.0f"),
            Column("depth_enqueue_many_per_s", "last 20,000", ",.0f"),
            Column("depth_drain_few_per_s", "drain of a short queue, jobs/s", ",.0f"),
            Column("depth_drain_many_per_s", "of the long one", ",.0f"),
            Column("depth_claim_p50_ms_few", "claim from a short queue, median ms", ".3f"),
            Column("depth_claim_p50_ms_many", "from the long one", ".3f"),
            Column("depth_claim_p99_ms_few", "p99, short, ms", ".3f"),
            Column("depth_claim_p99_ms_many", "long", ".3f"),
        ),
        "1,000,000 jobs queued (100,000 in a quick run), measured once. A claim is one of a single "
        "job, with its round trip.",
    ),
    Table(
        "A parent and its 10,000 children",
        (
            Column("fanout_s", "until the parent has all results, s", ".2f", more=False),
            Column("fanout_per_s", "children/s", ",.0f", more=True),
            Column("fanout_commands", "commands/child", ".1f"),
            Column("fanout_round_trips", "network reads/child", ".2f", more=False),
        ),
        "A task enqueues 10,000 no-ops, in the peer's fastest way, and waits for all of their "
        "results, in the peer's own; one worker process runs it and them. From the enqueue of the "
        "parent on. celery's parent does not wait: a chord calls another task with the results.",
    ),
    Table(
        "A parent in the only slot",
        (
            Column("alone_s", "until the parent had its ten results, s", ".3f"),
            Column("alone_given_up_s", "hung; ended after, s", ".0f"),
            Column("alone_children", "children that had run by then", ".0f"),
        ),
        "The same with ten children and one worker that runs one job at a time (`replicas=1, "
        "concurrency=1`), measured once. The parent waits for its children, which wait for its "
        "slot.",
    ),
]
FAIRNESS = [
    ("a backlog of 2,000 tasks of 1 ms, one of 1 s among them", None, ""),
    ("drained, jobs/s", "per_s", ",.0f"),
    ("jobs that started > 10 ms after one enqueued behind them", "jobs_late", ",.0f"),
    ("how much later, p99, ms", "late_p99_ms", ",.1f"),
    ("how much later, worst, ms", "late_worst_ms", ",.1f"),
    ("tasks of 1 ms, one by one, while one replica is busy", None, ""),
    ("enqueue → body, median ms", "beside_p50_ms", ".2f"),
    ("enqueue → body, worst ms", "beside_worst_ms", ".2f"),
]
"""Row, figure (None: a heading) and format."""
