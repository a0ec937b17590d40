"""Rounds: a step for each of many environments, in few round trips, each on its own account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog

from reuse_queue.broker.connection import Connection, Step
from reuse_queue.broker.together import together
from reuse_queue.errors import LeadLost, RedisUnavailable

log = structlog.get_logger()
T = TypeVar("T")
_FAILED = "environment cannot be scaled"


class Rounds:
    """Runs steps of many environments side by side, so that a broken one stops no other.

    The steps must bear a repeat.

    Args:
        connection: the way to Redis.
        step: what the steps do, for the log.
    """

    def __init__(self, connection: Connection, step: str) -> None:
        self._connection = connection
        self._step = step
        self._ailing: set[str] = set()

    async def run(self, steps: Mapping[str, Callable[[], Step[T]]]) -> dict[str, T]:
        """Return the results by environment, without those whose step failed.

        Raises:
            RedisUnavailable: Redis could not be reached.
            LeadLost: another scaler leads.
        """
        sound = [env for env in steps if env not in self._ailing]
        alone = [env for env in steps if env in self._ailing]
        results: dict[str, T] = {}
        try:
            found = await self._connection.arun(together([steps[env]() for env in sound]))
            results = dict(zip(sound, found, strict=True))
        except (RedisUnavailable, LeadLost):
            raise
        except Exception as error:  # noqa: BLE001  # whose it is shows below, one by one
            log.debug("one of many steps failed", error=str(error))
            alone = list(steps)
        for env in alone:
            await self._try(env, steps[env](), results)
        return results

    async def _try(self, env: str, step: Step[T], results: dict[str, T]) -> None:
        try:
            results[env] = await self._connection.arun(step)
        except (RedisUnavailable, LeadLost):
            raise
        except Exception as error:  # noqa: BLE001  # what is in Redis may be anything
            # Said once, not at every look.
            if env not in self._ailing:
                text = f"{type(error).__name__}: {error}"
                log.warning(_FAILED, environment=env, step=self._step, error=text)
            self._ailing.add(env)
        else:
            if env in self._ailing:
                self._ailing.discard(env)
                log.info("environment can be scaled again", environment=env, step=self._step)
