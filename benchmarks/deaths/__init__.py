"""What other queues do when kill -9 hits a worker that holds a job; `./dev recovery` runs it.

Each module is one peer: `python -m benchmarks.deaths.NAME work` is a worker of it, `… send` hands
in one job. The settings are those with which its documentation promises that a job is not lost.
"""
