"""rq's Worker, which forks for every job; jobs with Retry(max=3)."""

import sys

from rq import Worker

from benchmarks.deaths.rq_simple import send, work

if __name__ == "__main__":
    send() if sys.argv[1] == "send" else work(Worker)
