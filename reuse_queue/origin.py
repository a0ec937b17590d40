"""Where code comes from: the dotted name under which another process finds it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

_MAIN = ("__main__", "__mp_main__")


def module_of_caller(package: str) -> str:
    """Return the module of the code that called into `package`, as others would import it."""
    frame: FrameType | None = inspect.currentframe()
    own = (__name__, package)
    while frame is not None and frame.f_globals.get("__name__") in own:
        frame = frame.f_back
    return importable(frame.f_globals.get("__name__", "") if frame else "")


def importable(module: str) -> str:
    """Return a module's name as others would import it: `__main__` by its file.

    Interactive code has no such name: it stays `__main__`.
    """
    main = sys.modules.get("__main__")
    if module not in _MAIN or main is None:
        return module
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def dotted_name(function: Callable[..., Any], what: str = "task") -> str:
    """Return the name under which a function can be imported: `module.attribute`.

    Args:
        function: what is to be found there.
        what: what it is registered as, for the messages.

    Raises:
        TypeError: it is no function that returns one value.
        ValueError: no other process could import it.
    """
    if inspect.isclass(function) or not inspect.isfunction(function):
        raise TypeError(
            f"a {what} must be a function (def or async def), got {_said(function)}; wrap it in one"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__qualname__} yields: a {what} returns one value; return a list, or "
            f"split it into a {what} for each part"
        )
    why = _why_unreachable(function.__qualname__)
    if why:
        raise ValueError(
            f"{function.__qualname__} is {why}: replicas find a {what} as module.function, so it "
            "must be defined with def at the top level of a module"
        )
    module = importable(function.__module__)
    if module in _MAIN:
        raise ValueError(
            f"{function.__qualname__} is defined in an interactive session: replicas could not "
            "import it; put it in a module"
        )
    return f"{module}.{function.__qualname__}"


def _why_unreachable(qualname: str) -> str:
    if "<lambda>" in qualname:
        return "a lambda"
    if "<locals>" in qualname:
        return "nested in another function"
    return "a method of a class" if "." in qualname else ""


def _said(value: object) -> str:
    if inspect.isclass(value):
        return f"the class {value.__qualname__}"
    return f"a {type(value).__qualname__}"
