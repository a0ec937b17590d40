"""Task: a function that is registered on an environment, and the ways to call it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from reuse_queue.callbacks import Callback, named
from reuse_queue.calling import Calling
from reuse_queue.context import current_job
from reuse_queue.errors import InvalidArguments, NotReplicated, ReuseQueueError
from reuse_queue.handle import Home, JobHandle
from reuse_queue.job import NewJob, Terms
from reuse_queue.mapping import Mappable
from reuse_queue.options import OptionArgs, TaskOptions
from reuse_queue.policy import ReusePolicy
from reuse_queue.serializer import Serializer
from reuse_queue.signature import Signature

if TYPE_CHECKING:
    from typing import Self

    from reuse_queue.broker.connection import Step

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

BATCH = 1000
"""Jobs that are written in one round trip."""


class Owner(Home, Protocol):
    """What a task needs of its environment."""

    @property
    def policy(self) -> ReusePolicy:
        """How many replicas, and how many jobs in each."""

    @property
    def serializer(self) -> Serializer:
        """How arguments and results travel."""

    @property
    def callbacks(self) -> Mapping[str, Callback]:
        """What jobs may name to be called at their ends."""

    @property
    def max_payload(self) -> int:
        """Bytes that a job's arguments may take."""

    def write(self, jobs: Sequence[NewJob]) -> Step[None]:
        """Write jobs and push their ids."""


@dataclass(slots=True)  # not frozen, which takes twice as long: they are made by the thousand
class Call(Generic[P]):
    """The arguments of one call that is still to be enqueued; made by `task.call(…)`."""

    task: str
    """The task's name: another's arguments could fit, too."""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Task(Mappable[R], Calling[P, R], Generic[P, R]):
    """A function of an environment: call it to run it here, enqueue it to run it on a replica.

    Attributes:
        name: the function's dotted name, by which jobs name it.
        function: the function itself.
        environment: the environment that its jobs belong to.
        options: how its jobs are retried, limited and kept.
        signature: what its calls must look like.
    """

    is_async = False
    environment: Owner
    __name__: str

    def __init__(
        self, name: str, function: Callable[..., Any], environment: Owner, options: TaskOptions
    ) -> None:
        functools.update_wrapper(cast("Callable[..., Any]", self), function)
        self.name = name
        self.function = function
        self.environment = environment
        self.options = self._registered = options
        self.signature = Signature(name, function, environment.serializer)
        self._terms = _terms(name, options, environment)
        self._child_terms = replace(self._terms, child=True)

    def enqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Write a job for these arguments and return its handle.

        Raises:
            InvalidArguments: they do not fit the signature; the message names the parameter.
            NotSerializable: one cannot be written; the message names the parameter.
            PayloadTooLarge: together they take too many bytes.
            RedisUnavailable: Redis cannot be reached; the job may or may not have been written.
            RedisRefused: Redis is full, or refuses otherwise; nothing has been written.
            NotReplicated: `durability="replicated"`, and no replica confirmed it in time; it has
                been written, and is lost only if the primary fails before it is copied.
        """
        return self.environment.run(self._enqueue(args, kwargs))

    async def aenqueue(self, /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]:
        """Do what `enqueue` does, without blocking the loop."""
        return await self.environment.arun(self._enqueue(args, kwargs))

    def enqueue_many(self, calls: Iterable[tuple[Any, ...] | Call[P]]) -> list[JobHandle[R]]:
        """Write a job for each of many calls and return their handles, in order.

        A call is a tuple of arguments, or `task.call(…)`, which type checkers check and which
        takes keywords. One round trip writes up to 1,000 jobs; a generator is read as it goes. Of
        each such batch, all calls are checked before anything is written.

        Raises:
            InvalidArguments, NotSerializable, PayloadTooLarge: as `enqueue`, for one of the calls;
                a note says which, and how many jobs of earlier batches have been written.
            RedisUnavailable, RedisRefused: as `enqueue`; earlier batches have been written.
            NotReplicated: as `enqueue`, for one batch; a note says how many jobs of earlier ones
                have been confirmed. Later ones have not been written.
        """
        return self.environment.run(self._enqueue_after(0, calls))

    async def aenqueue_many(self, calls: Iterable[tuple[Any, ...] | Call[P]]) -> list[JobHandle[R]]:
        """Do what `enqueue_many` does, without blocking the loop."""
        return await self.environment.arun(self._enqueue_after(0, calls))

    def call(self, /, *args: P.args, **kwargs: P.kwargs) -> Call[P]:
        """Return a call for `enqueue_many`; nothing is written."""
        return Call(self.name, args, kwargs)

    def handle(self, job_id: str) -> JobHandle[R]:
        """Return the handle of a job of this task that was enqueued before; asks nothing."""
        return JobHandle(self.environment, job_id, self.name)

    def override(self, **options: Unpack[OptionArgs]) -> Self:
        """Return the same task with other options, for single calls.

        `classify.override(priority="high", delay=60).enqueue("a.png")`. Options that are not
        given stay as they are; `retries=0` means none.

        Raises:
            ValueError: a value breaks its rule, or the option is the environment's.
            TypeError: there is no such option.
            UnknownCallback: a callback is not registered on the environment.
        """
        other = object.__new__(type(self))
        changed = self.options.changed(options)
        terms = _terms(self.name, changed, self.environment)
        vars(other).update(
            vars(self), options=changed, _terms=terms, _child_terms=replace(terms, child=True)
        )
        return other

    def __repr__(self) -> str:
        """Return the name and the environment's."""
        return f"<Task {self.name} of {self.environment.name}>"

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle by name: the other process has the same task, or none."""
        return _found, (self.environment, self.name, self.options)

    # -- each written once, for both twins ----------------------------------------------------

    def _call_with(self, given: Any) -> tuple[Any, ...] | Call[P]:
        return given if isinstance(given, Call) else (given,)

    def _enqueue(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step[JobHandle[R]]:
        job = self._new_job(args, kwargs)
        yield from self.environment.write([job])
        return self.handle(job.id)

    def _enqueue_after(
        self, before: int, calls: Iterable[tuple[Any, ...] | Call[P]]
    ) -> Step[list[JobHandle[R]]]:
        """Write a job for each call, of which so many have been written before."""
        handles: list[JobHandle[R]] = []
        for batch in _batches(calls):
            written = before + len(handles)
            jobs = [
                self._new_job_of(call, place, written) for place, call in enumerate(batch, written)
            ]
            try:
                yield from self.environment.write(jobs)
            except NotReplicated as error:
                error.add_note(f"{written} jobs of earlier batches have been confirmed")
                raise
            handles.extend(self.handle(job.id) for job in jobs)
        return handles

    def _new_job_of(self, call: object, place: int, written: int) -> NewJob:
        try:
            if isinstance(call, Call):
                return self._new_job(self._own(call).args, call.kwargs)
            if isinstance(call, tuple):
                return self._new_job(call, {})
            raise InvalidArguments(
                f"{self.name}: a call is a tuple of arguments or {self.__name__}.call(…), not a "
                f"{type(call).__name__}: write (value,) for a single argument"
            )
        except ReuseQueueError as error:
            error.add_note(f"at call {place}; {written} jobs of earlier batches have been written")
            raise

    def _own(self, call: Call[P]) -> Call[P]:
        if call.task != self.name:
            raise InvalidArguments(
                f"{self.name}: this is a call of {call.task}: write {self.__name__}.call(…)"
            )
        return call

    def _new_job(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NewJob:
        self.signature.check(args, kwargs)
        data = self.signature.pack(args, kwargs, self.environment.max_payload)
        parent = current_job()
        if parent is None:
            return NewJob(_new_id(), data, self._terms)
        # A call with other options is another call.
        options = self.options.differences(self._registered)
        caller = (parent.id, parent.run, self.environment.name, self.name, options)
        return NewJob(parent.lineage.child_id(caller, data), data, self._child_terms)


class AsyncTask(Task[P, R]):
    """A task whose function is a coroutine function: it runs beside others in a replica."""

    is_async = True

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Run it right here, without Redis: a coroutine, to be awaited."""
        return self.function(*args, **kwargs)  # type: ignore[no-any-return]  # as registered


class SyncTask(Task[P, R]):
    """A task whose function is a plain one: it has its replica to itself."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it right here, without Redis."""
        return self.function(*args, **kwargs)  # type: ignore[no-any-return]  # as registered


class TaskDecorator(Protocol):
    """What `@env.task(…)` returns: makes a task of a function."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine function is always the first
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...


def _new_id() -> str:
    """Return a new job id: a random UUID as a text, as rq's are.

    Four times as fast as the standard library's `uuid4`, and jobs are made by the thousand.
    """
    digits = os.urandom(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _terms(name: str, options: TaskOptions, env: Owner) -> Terms:
    return Terms(
        description=name,
        timeout=options.timeout,
        queue_timeout=options.queue_timeout,
        deadline=options.deadline,
        result_ttl=options.result_ttl,
        failure_ttl=options.failure_ttl,
        retries=options.retries,
        retry_delays=options.retry_delays,
        priority=options.priority,
        delay=options.delay,
        redeliver=options.redeliver,
        detached=options.detached,
        durability=options.durability,
        callbacks=named(env.name, env.callbacks, options.callbacks),
    )


def _found(environment: Any, name: str, options: TaskOptions) -> Task[..., Any]:
    task: Task[..., Any] = environment.lookup(name)
    return task.override(**{each.name: getattr(options, each.name) for each in fields(options)})


def _batches(calls: Iterable[T]) -> Iterator[list[T]]:
    left = iter(calls)
    while batch := list(islice(left, BATCH)):
        yield batch
