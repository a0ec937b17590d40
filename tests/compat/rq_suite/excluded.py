"""The tests of rq's that do not hold for our worker, each with its reason."""

_HORSE = "kills, or stands for, the child process that rq's Worker forks for a job: ours has none"

EXCLUDED: dict[str, str] = {
    "test_dependencies.py::TestDependencies::test_allow_failures_when_work_horse_killed": _HORSE,
    "test_commands.py::TestCommands::test_kill_horse_command": _HORSE,
    "test_worker.py::TestWorker::test_horse_fails": _HORSE,
    "test_worker.py::TestWorker::test_monitor_work_horse_handles_performed_job_with_non_zero_exit"
    "_code_and_result_ttl_0": _HORSE,
    "test_rate_limit.py::TestRateLimitEnqueue::test_release_after_aborted_immediate_repeat": (
        "makes the client's Pipeline.execute raise in a transaction that watches keys, and counts"
        " that it did: ours records an end by one script, which watches nothing and cannot be"
        " aborted; what it wants to see afterwards is a row of the differential test"
    ),
}
