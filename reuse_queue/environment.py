"""TaskEnvironment: tasks that share one queue, one policy and one expensive start."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload

from reuse_queue.callbacks import Callback, CallbackDecorator
from reuse_queue.choices import EnvironmentArgs, StartMethod
from reuse_queue.errors import UnknownEnvironment, UnknownTask
from reuse_queue.facts import EnvironmentRecord
from reuse_queue.handle import JobHandle, Jobs
from reuse_queue.hooks import HookDecorator, Hooks
from reuse_queue.options import OptionArgs, Seconds, TaskOptions, duration, positive
from reuse_queue.origin import dotted_name, importable, module_of_caller
from reuse_queue.policy import ReusePolicy
from reuse_queue.serializer import SerializerName
from reuse_queue.serializer import serializer as serializer_named
from reuse_queue.settings import Settings
from reuse_queue.task import AsyncTask, SyncTask, Task, TaskDecorator
from reuse_queue.webhooks import AllowedWebhooks

if TYPE_CHECKING:
    from reuse_queue.broker.connection import Connection, Step
    from reuse_queue.job import NewJob
    from reuse_queue.link import Link, RedisLink

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")

stand_ins: list[tuple[Callable[[str], bool], Link]] = []
"""What `reuse_queue.testing` puts in Redis's place: for which environments, and what."""


class TaskEnvironment:
    """Tasks with one queue, run by warm replicas as a `ReusePolicy` says.

    Args:
        name: lower-case letters and digits in parts joined by `-` or `_`; the queue's name in rq.
        reusable: how many replicas, and when they go; `ReusePolicy()` if None.
        serializer: `"json"`, typed by the tasks' annotations, or `"pickle"`: any object, but
            whoever can write to Redis can run code in the replicas.
        start_method: `"fork"` from a process that has imported the application, or `"spawn"` a
            new interpreter, for imports that do not survive a fork.
        keep_warm: whether the policy's minimum stays even when nobody asks for `idle_ttl`.
        yield_slots: whether a task that waits for another's result lets other jobs run in its slot
            meanwhile; without, as many waiting tasks as there are slots wait for ever.
        version: of the code, as replicas are told apart by it; None: found out by their hosts.
        description: for people.

    Raises:
        ValueError: the name or a choice is not one that can be used.
        TypeError: `reusable` is no ReusePolicy.
    """

    def __init__(  # noqa: PLR0913  # the parameters are its users' words
        self,
        name: str,
        *,
        reusable: ReusePolicy | None = None,
        serializer: SerializerName = "json",
        start_method: StartMethod = "fork",
        keep_warm: bool = False,
        yield_slots: bool = True,
        version: str | None = None,
        description: str = "",
    ) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"Environment name '{name}' must be in snake_case or kebab-case format."
            )
        if reusable is not None and not isinstance(reusable, ReusePolicy):
            raise TypeError(f"Expected reusable to be of type ReusePolicy, got {type(reusable)}")
        if start_method not in ("fork", "spawn"):
            raise ValueError(f"start_method must be 'fork' or 'spawn', got {start_method!r}")
        self.name = name
        self.policy = ReusePolicy() if reusable is None else reusable
        self.serializer = serializer_named(serializer)
        self.start_method = start_method
        self.keep_warm = keep_warm
        self.yield_slots = yield_slots
        self.version = version
        self.description = description
        self.module = module_of_caller(__name__)
        self.hooks = Hooks()
        self.preload = HookDecorator("preload", self.hooks.preload)
        """`@env.preload`: once per host, in the process that replicas are forked from."""
        self.on_start = HookDecorator("on_start", self.hooks.on_start)
        """`@env.on_start`: in each replica before its first job; the expensive part."""
        self.on_stop = HookDecorator("on_stop", self.hooks.on_stop)
        """`@env.on_stop`: in each replica after its last job."""
        self.callback = CallbackDecorator(name, positive)
        """`@env.callback`: what jobs may name to be called when they end, and nothing else."""
        self.allow_webhooks = AllowedWebhooks(name)
        """`env.allow_webhooks("https://…/")`: where rq's webhooks of its jobs may go."""
        self._tasks: dict[str, Task[..., Any]] = {}
        self._redis: RedisLink | None = None

    # -- tasks ------------------------------------------------------------------------------

    @overload
    def task(  # type: ignore[overload-overlap]  # a coroutine function is always the first
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...

    @overload
    def task(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...

    @overload
    def task(self, /, **options: Unpack[OptionArgs]) -> TaskDecorator: ...

    def task(self, function: Any = None, /, **options: Unpack[OptionArgs]) -> Any:
        """Make a task of a module's function: `@env.task` or `@env.task(retries=2, timeout=30)`.

        For the options see `reuse_queue.options.OptionArgs`.

        Raises:
            ValueError: an option breaks its rule, the name is taken, the function cannot be
                imported by a replica, or it is not async and the policy's concurrency is over 1.
            TypeError: it is no function that returns one value, or there is no such option.
        """
        checked = TaskOptions().changed(options)
        if function is None:
            return lambda function: self._register(function, checked)
        return self._register(function, checked)

    @property
    def tasks(self) -> Mapping[str, Task[..., Any]]:
        """The tasks by their functions' dotted names."""
        return MappingProxyType(self._tasks)

    @property
    def callbacks(self) -> Mapping[str, Callback]:
        """The callbacks by their functions' dotted names."""
        return MappingProxyType(self.callback.found)

    def lookup(self, function_name: str) -> Task[..., Any]:
        """Return the task of that dotted name.

        Raises:
            UnknownTask: none is registered; the message names those that are like it.
        """
        task = self._tasks.get(function_name)
        if task is not None:
            return task
        last = function_name.rpartition(".")[2]
        close = [name for name in self._tasks if name.endswith(f".{last}")]
        close = close or get_close_matches(function_name, self._tasks)
        hint = f"did you mean {' or '.join(close)}?" if close else "it must be one of its @task's"
        raise UnknownTask(f"environment {self.name} has no task {function_name!r}; {hint}")

    def handle(self, job_id: str) -> JobHandle[Any]:
        """Return the handle of a job that was enqueued before; asks nothing.

        `task.handle(job_id)` is the same, with the result's type known to type checkers.
        """
        return JobHandle(self, job_id)

    def clone_with(self, name: str, **changes: Unpack[EnvironmentArgs]) -> TaskEnvironment:
        """Return another environment: this one's settings but for `changes`, its hooks, no tasks.

        It has a queue and replicas of its own.
        """
        settings: EnvironmentArgs = {
            "reusable": self.policy,
            "serializer": self.serializer.name,
            "start_method": self.start_method,
            "keep_warm": self.keep_warm,
            "yield_slots": self.yield_slots,
            "version": self.version,
            "description": self.description,
        }
        settings.update(changes)
        other = TaskEnvironment(name, **settings)
        for kind in ("preload", "on_start", "on_stop"):
            getattr(other.hooks, kind).extend(getattr(self.hooks, kind))
        other._redis = self._redis
        return other

    # -- Redis ------------------------------------------------------------------------------

    def bind(self, where: str | Settings | Connection, *, patience: Seconds = 0) -> None:
        """Say which Redis this environment's jobs are in.

        Without it, that is what the environment variables of `Settings` say, read at first use;
        where they name none, that of a `reuse-queue run` in this folder.

        Args:
            where: a URL, settings, or a connection that is shared with others.
            patience: seconds (or a timedelta) for which calls keep trying when Redis cannot be
                reached, before they raise RedisUnavailable; 0: they raise it at once. Replicas go
                to the Redis of their own settings, with this patience.
        """
        self._redis = _redis(where, duration("patience", patience))

    @property
    def connection(self) -> Connection:
        """The connection to Redis."""
        return self._bound().connection

    @property
    def patience(self) -> timedelta:
        """How long its calls keep trying when Redis cannot be reached."""
        return self._redis.patience if self._redis else timedelta(0)

    @property
    def jobs(self) -> Jobs:
        """Where to ask about jobs."""
        return self._link().jobs

    @property
    def max_payload(self) -> int:
        """Bytes that a job's arguments, or its result, may take."""
        return self._link().settings.max_payload

    def run(self, step: Step[T]) -> T:
        """Run a step of the broker, blocking."""
        return self._link().run(step)

    async def arun(self, step: Step[T]) -> T:
        """Run a step of the broker on the running loop."""
        return await self._link().arun(step)

    def write(self, jobs: Sequence[NewJob]) -> Step[None]:
        """Write jobs and push their ids; the first ones in a process announce the environment."""
        return self._link().write(self, jobs)

    def read_result(self, task: str, data: bytes | None) -> Any:
        """Return a task's result: deserialized, and typed where the task is known here.

        A task that returned nothing has no data: None, whatever its annotation promises.
        """
        if data is None:
            return None
        value = self.serializer.loads(data)
        known = self._tasks.get(task)
        return known.signature.returned(value) if known else value

    def record(self, target: str = "") -> EnvironmentRecord:
        """Return what Redis should know of it; `target` is where an agent found it."""
        return EnvironmentRecord(
            name=self.name,
            policy=self.policy,
            keep_warm=self.keep_warm,
            target=target,
            module=self.module,
            serializer=self.serializer.name,
            tasks=tuple(self._tasks),
        )

    def __repr__(self) -> str:
        """Return the name and the policy."""
        return f"<TaskEnvironment {self.name} {self.policy}>"

    def __reduce__(self) -> tuple[Callable[[str, str], TaskEnvironment], tuple[str, str]]:
        """Pickle by name: the other process imports the module that creates it."""
        return _environment_of, (self.module, self.name)

    def _register(self, function: Callable[..., Any], options: TaskOptions) -> Task[..., Any]:
        name = dotted_name(function)
        is_async = inspect.iscoroutinefunction(function)
        if not is_async and self.policy.concurrency > 1:
            raise ValueError(
                "Reusable environments with concurrency greater than 1 are only supported for "
                "async tasks. Please use an async function or set concurrency to 1."
            )
        if name in self._tasks:
            raise ValueError(f"environment {self.name} has a task {name} already")
        kind: type[Task[..., Any]] = AsyncTask if is_async else SyncTask
        self._tasks[name] = kind(name, function, self, options)
        return self._tasks[name]

    def _link(self) -> Link:
        for covers, link in reversed(stand_ins):
            if covers(self.name):
                return link
        return self._bound()

    def _bound(self) -> RedisLink:
        if self._redis is None:
            self._redis = _redis(None, timedelta(0))
        return self._redis


def _redis(where: str | Settings | Connection | None, patience: timedelta) -> RedisLink:
    # Redis takes longer to import than everything else here; who only imports an application,
    # a web server's reloader or a test, need not pay for it.
    from reuse_queue.link import redis_link  # noqa: PLC0415

    return redis_link(where, patience)


def _environment_of(module: str, name: str) -> TaskEnvironment:
    main = importable("__main__") == module
    found = vars(sys.modules["__main__"] if main else import_module(module))
    for value in found.values():
        if isinstance(value, TaskEnvironment) and value.name == name:
            return value
    raise UnknownEnvironment(
        f"module {module} has no environment {name!r} at its top level; pass the job's id instead "
        "and make its handle with task.handle(id)"
    )
