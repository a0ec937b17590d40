"""The text that is recorded of a failure: a traceback of the task's own frames."""

from __future__ import annotations

import re
from pathlib import Path
from traceback import TracebackException
from types import TracebackType

from reuse_queue import errors
from reuse_queue.job import Decided

# The last line of a text of ours.
_NAMED = re.compile(r"^reuse_queue\.errors\.(\w+): (.+)\Z", re.MULTILINE | re.DOTALL)
_ENDS = {
    each.__name__: each
    for each in (errors.JobTimeout, errors.JobLost, errors.QueueTimeout, errors.DeadlinePassed)
}
LONGEST_TEXT = 64 * 1024
_OURS = tuple(f"{Path(each).parent}/" for each in (__file__, errors.__file__))


def describe(error: BaseException) -> str:
    """Return an error as Python shows it, without our frames around the task's own.

    Those below them go only where the error is one of ours, as when a child failed: they say
    nothing of the task. A text over 64 KiB loses its middle: its start says where, its end what.
    """
    try:
        _trim(error)
        text = "".join(TracebackException.from_exception(error).format())
    except Exception:  # noqa: BLE001  # the task's own error class may break on being shown
        text = f"{type(error).__qualname__}: <this error cannot be shown>\n"
    # What cannot be written as UTF-8 (a lone surrogate in a message) is spelled out.
    return shortened(text.encode(errors="backslashreplace").decode())


def error_of(decided: Decided) -> errors.ReuseQueueError:
    """Return the error that a decided end's text names; the rest of the text is its note."""
    found = _NAMED.search(decided.text)
    kind = _ENDS.get(found[1]) if found else None
    if found is None or kind is None:
        return errors.JobLost(decided.text or "the job was ended from outside while it ran")
    error = kind(found[2])
    before = decided.text[: found.start()].rstrip()
    if before:
        error.add_note(before)
    return error


def shortened(text: str, longest: int = LONGEST_TEXT) -> str:
    """Return the text, its middle left out where it is longer than `longest`."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _trim(error: BaseException) -> None:
    """Drop our frames around the task's from an error and from all that led to it."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = _theirs(each.__traceback__)
        if isinstance(each, errors.ReuseQueueError):
            _end_with_theirs(each.__traceback__)
        todo += [each.__cause__, each.__context__]


def _theirs(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and _is_ours(trace):
        trace = trace.tb_next
    return trace


def _end_with_theirs(trace: TracebackType | None) -> None:
    last = None
    while trace is not None:
        if not _is_ours(trace):
            last = trace
        trace = trace.tb_next
    if last is not None:
        last.tb_next = None


def _is_ours(trace: TracebackType) -> bool:
    return trace.tb_frame.f_code.co_filename.startswith(_OURS)
