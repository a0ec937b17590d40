"""Target: `module:attribute` → the TaskEnvironment it names, or why there is none."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from pathlib import Path
from traceback import StackSummary, TracebackException
from types import ModuleType

import reuse_worker
from reuse_queue.environment import TaskEnvironment
from reuse_queue.errors import TargetNotLoaded

_MACHINERY = "<frozen importlib"
_IMPORTLIB = str(Path(importlib.__file__ or "importlib").parent)
_OURS = str(Path(reuse_worker.__file__).parent)


def load(target: str) -> TaskEnvironment:
    """Import a target, the current directory first on the path, and return its environment.

    Raises:
        TargetNotLoaded: it says why; where the application itself raised, that is its cause.
    """
    name, colon, attribute = target.partition(":")
    if not (name and colon and attribute.isidentifier()):
        raise TargetNotLoaded(f"{target!r} is no target: write module:attribute, as in app:env")
    _put_first(str(Path.cwd()))
    module = _imported(name)
    found = getattr(module, attribute, None)
    if isinstance(found, TaskEnvironment):
        return found
    raise TargetNotLoaded(
        f"{name} has no attribute {attribute!r}{_instead(module)}"
        if found is None
        else f"{target} is no TaskEnvironment but of type {type(found).__name__}{_instead(module)}"
    )


def preload(env: TaskEnvironment) -> None:
    """Run the environment's preload hooks, coroutines in a loop of their own.

    Raises:
        TargetNotLoaded: a hook raised; its error is the cause.
    """
    for hook in env.hooks.preload:
        try:
            result = hook()
            if inspect.iscoroutine(result):
                asyncio.run(result)
        except (Exception, SystemExit) as error:
            raise TargetNotLoaded(
                f"the preload hook {hook.__qualname__} of {env.name} failed: {_named(error)}"
            ) from error


def explained(error: TargetNotLoaded) -> str:
    """Return what to show: the message, after the application's own traceback if it has one."""
    if error.__cause__ is None:
        return str(error)
    shown = TracebackException.from_exception(error.__cause__)
    shown.stack = StackSummary.from_list([frame for frame in shown.stack if _theirs(frame)])
    return "".join([*shown.format(), f"\n{error}"])


def _put_first(folder: str) -> None:
    if sys.path[:1] not in ([""], [folder]):
        sys.path.insert(0, folder)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise TargetNotLoaded(
                f"there is no module {error.name!r}, neither in {Path.cwd()} nor installed"
            ) from None
        raise TargetNotLoaded(f"{name} cannot be imported: {_named(error)}") from error
    except (Exception, SystemExit) as error:
        raise TargetNotLoaded(f"{name} cannot be imported: {_named(error)}") from error


def _instead(module: ModuleType) -> str:
    there = sorted(
        name for name, value in vars(module).items() if isinstance(value, TaskEnvironment)
    )
    if not there:
        return ", nor any TaskEnvironment"
    return f"; its environments: {', '.join(f'{module.__name__}:{name}' for name in there)}"


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _theirs(frame: inspect.Traceback | object) -> bool:
    path = str(getattr(frame, "filename", ""))
    return not path.startswith((_MACHINERY, _IMPORTLIB, _OURS))
