"""dramatiq: one process and one thread a worker, its default broker settings."""

import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.cli import main, make_argument_parser

from benchmarks.deaths import body

dramatiq.set_broker(RedisBroker(url=body.REDIS))


@dramatiq.actor(time_limit=10_000_000)
def job() -> None:
    body.run()


if __name__ == "__main__":
    if sys.argv[1] == "send":
        job.send()
    else:
        sys.argv[:] = ["dramatiq", "benchmarks.deaths.dramatiq_process", "-p", "1", "-t", "1"]
        sys.exit(main(make_argument_parser().parse_args(sys.argv[1:])))
