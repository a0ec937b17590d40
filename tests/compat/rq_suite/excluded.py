"""The tests of rq's that do not hold for our worker, each with its reason."""

_HORSE = "kills, or stands for, the child process that rq's Worker forks for a job: ours has none"
_WATCH = "breaks into rq's optimistic transaction: ours is one step, with nothing to break into"
_INTERMEDIATE = (
    "takes a step away to leave a job in rq's intermediate list: our claim starts and leases a job"
    " in the step that pops it, and a worker that stops gives back what it has not run"
)

EXCLUDED: dict[str, str] = {
    "test_dependencies.py::TestDependencies::test_allow_failures_when_work_horse_killed": _HORSE,
    "test_commands.py::TestCommands::test_kill_horse_command": _HORSE,
    "test_worker.py::TestWorker::test_horse_fails": _HORSE,
    "test_worker.py::TestWorker::test_monitor_work_horse_handles_performed_job_with_non_zero_exit"
    "_code_and_result_ttl_0": _HORSE,
    "test_worker.py::TestWorker::test_job_dependency_race_condition": _WATCH,
    "test_rate_limit.py::TestRateLimitEnqueue::test_release_after_aborted_immediate_repeat": _WATCH,
    "test_repeat.py::TestWorkerRepeat::test_repeat_state_survives_transaction_retry": _WATCH,
    "test_intermediate_queue.py::TestIntermediateQueue::"
    "test_cleanup_intermediate_queue": _INTERMEDIATE,
    "test_intermediate_queue.py::TestIntermediateQueue::"
    "test_cleanup_intermediate_queue_in_maintenance": _INTERMEDIATE,
    "test_intermediate_queue.py::TestIntermediateQueue::"
    "test_no_cleanup_while_in_started_queue": _INTERMEDIATE,
    "test_queue.py::TestQueue::test_intermediate_queue": _INTERMEDIATE,
    "test_worker.py::TestWorker::test_cancel_running_parent_job": (
        "wants the result of a job that was canceled while it ran: with us it stays canceled"
    ),
}
