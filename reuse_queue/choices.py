"""What can be chosen for an environment."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from reuse_queue.policy import ReusePolicy
from reuse_queue.serializer import SerializerName

StartMethod: TypeAlias = Literal["fork", "spawn"]


class EnvironmentArgs(TypedDict, total=False):
    """What a clone of an environment may have of its own (see `TaskEnvironment`)."""

    reusable: ReusePolicy | None
    serializer: SerializerName
    start_method: StartMethod
    keep_warm: bool
    yield_slots: bool
    version: str | None
    description: str
