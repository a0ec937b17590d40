"""What `python -m reuse_agent` does: the agent of this host."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import resource
import sys
from collections.abc import Sequence

from reuse_agent.agent import Agent
from reuse_queue import log
from reuse_queue.broker import scripts
from reuse_queue.errors import (
    HostTaken,
    InvalidSettings,
    RedisRefused,
    TargetNotLoaded,
    UnsupportedRedis,
)
from reuse_queue.settings import Settings

_OK, _FAILED, _USAGE, _NO_REDIS = 0, 1, 2, 3
_MOST_FILES = 65536


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent and return its exit code: 2 where what it was told can't be done.

    3 where Redis is none that it could be done with.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = _settings(options)
        log.configure(settings)
        _allow_many_files()
        scripts.warm()
        asyncio.run(_run(options, settings))
    except (TargetNotLoaded, InvalidSettings) as error:
        return _complain(error, _USAGE)
    except HostTaken as error:
        return _complain(error, _FAILED)
    except (UnsupportedRedis, RedisRefused) as error:
        return _complain(error, _NO_REDIS)
    return _OK


async def _run(options: argparse.Namespace, settings: Settings) -> None:
    agent = Agent(
        list(dict.fromkeys(options.targets)),
        settings,
        max_replicas=options.max_replicas or max(4, 2 * len(os.sched_getaffinity(0))),
        strict=options.strict,
    )
    await agent.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reuse_agent",
        description="Run replicas of environments on this host, as the scaler orders them.",
        epilog="SIGTERM lets replicas finish their jobs, a second one does not; SIGHUP loads the "
        "applications' code anew. Settings come from REUSE_QUEUE_… variables.",
    )
    parser.add_argument("targets", nargs="+", metavar="MODULE:ENV", help="such as app:env")
    parser.add_argument("--redis-url", help="where Redis is (REUSE_QUEUE_REDIS_URL)")
    parser.add_argument("--host", help="this host's name in Redis (REUSE_QUEUE_HOST)")
    parser.add_argument(
        "--max-replicas", type=_at_least_one, help="default: 4, or 2 for each processor"
    )
    parser.add_argument(
        "--strict", action="store_true", help="end with code 2 if a target cannot be loaded"
    )
    return parser


def _at_least_one(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def _settings(options: argparse.Namespace) -> Settings:
    flags = {"redis_url": options.redis_url, "host": options.host}
    given = {name: value for name, value in flags.items() if value}
    return dataclasses.replace(Settings.from_env(), **given)


def _allow_many_files() -> None:
    """Raise the soft limit of open files: each replica takes three."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _complain(error: Exception, code: int) -> int:
    sys.stderr.write(f"{error}\n")
    return code
