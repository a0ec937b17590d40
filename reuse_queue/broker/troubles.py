"""What redis-py's errors mean: which of them pass by themselves, and what they are to users."""

from __future__ import annotations

import redis
import redis.asyncio.sentinel
import redis.sentinel

from reuse_queue.errors import RedisRefused, RedisUnavailable, ReuseQueueError

# The server is not there, or is not the one that it was or is to be: another try may find it.
_AWAY = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.BusyLoadingError,
    redis.ReadOnlyError,
    redis.exceptions.MasterDownError,
    redis.exceptions.TryAgainError,
    redis.exceptions.ClusterDownError,
    OSError,
)
# The same of errors that redis-py has no class for. UNBLOCKED: a primary became a replica while a
# command waited at it.
_AWAY_WORDS = ("NOREPLICAS ", "UNBLOCKED ", "BUSY ")
# It is there and has no room: for memory, on its disk.
_FULL_WORDS = ("MISCONF ",)
# What a server with a password says to a client that gave none: redis-py begins with HELLO, before
# its release 8 and with protocol 2 it does not.
_NO_LOGIN = (
    "HELLO must be called with the client already authenticated",
    "Authentication required",
)
# Its asynchronous client raises a plain ConnectionError with these.
_WRONG_LOGIN = "invalid username-password pair"
_NO_PRIMARY = (redis.sentinel.MasterNotFoundError, redis.asyncio.sentinel.MasterNotFoundError)
FOREIGN = (redis.ConnectionError, redis.TimeoutError, redis.ResponseError, OSError)
"""What redis-py raises for what happens at a server or on the way to it."""


def passes(error: Exception) -> bool:
    """Return whether the same request may be answered if it is sent again later."""
    return is_away(error) or is_full(error)


def is_away(error: Exception) -> bool:
    """Return whether there was no server that could take the request."""
    if isinstance(error, _AWAY):
        return True
    return isinstance(error, redis.ResponseError) and str(error).startswith(_AWAY_WORDS)


def is_full(error: Exception) -> bool:
    """Return whether the server takes no writes until somebody makes room."""
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return True
    return isinstance(error, redis.ResponseError) and str(error).startswith(_FULL_WORDS)


def translated(error: Exception, place: str, hint: str = "") -> ReuseQueueError:
    """Return what an error is to users.

    Args:
        error: one of FOREIGN, as redis-py raised it.
        place: the server, for the message.
        hint: what to add where it cannot be reached.
    """
    if is_away(error):
        return RedisUnavailable(f"Redis at {place} {_why_away(error, hint)}")
    why = f"is full: {_remedy(error)}" if is_full(error) else "refused a command"
    return RedisRefused(f"Redis at {place} {why}: {error}{_found(error)}")


def _found(error: Exception) -> str:
    if "WRONGTYPE" not in str(error):
        return ""
    return " (something else wrote to one of our keys: `reuse-queue doctor` names it)"


def _why_away(error: Exception, hint: str) -> str:
    if isinstance(error, redis.AuthenticationError) or _WRONG_LOGIN in str(error):
        why = "it wants a password, as in redis://:PASSWORD@host:6379"
        gave_none = any(each in str(error) for each in _NO_LOGIN)
        return f"refused the login: {why if gave_none else error}"
    if isinstance(error, redis.ReadOnlyError):
        return (
            "is a replica, which takes no writes: name its primary, or the sentinels that know it "
            f"(redis+sentinel://…): {error}"
        )
    if isinstance(error, _NO_PRIMARY):
        return f"cannot be reached: {_without_primary(error)}"
    return f"cannot be reached: {str(error) or 'no answer'}{hint}"


def _without_primary(error: Exception) -> str:
    # redis-py appends its clients of those that did not answer, with all options, but not why.
    if " : " not in str(error):
        return "its sentinels know no primary by that name that is up"
    return (
        "none of its sentinels that answers names its primary (not all answer): are they up, do "
        "they want a sentinel_password, and with rediss+sentinel://, do you trust their "
        "certificate (?ssl_ca_certs=FILE)?"
    )


def _remedy(error: Exception) -> str:
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return "raise its maxmemory, or wait until jobs have ended and their results have expired"
    return "make room on its disk"
