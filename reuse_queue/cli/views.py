"""Where `run` shows what it sees: a screen that is drawn anew, or lines."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import timedelta
from enum import StrEnum

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from reuse_queue.cli.screen import Frame, frame
from reuse_queue.cli.seen import Seen
from reuse_queue.cli.terminal import silent_keys
from reuse_queue.cli.ticker import Ticker

_PANEL_LINES = 16


class ViewKind(StrEnum):
    """What `--view` may say."""

    AUTO = "auto"
    LIVE = "live"
    PLAIN = "plain"
    NONE = "none"


class View:
    """A view that shows nothing but the command's own output; the others are made from it."""

    relays = False
    """Whether a command's output must come through `output` to stay readable."""

    def show(self, seen: Seen | None, up: timedelta, status: str) -> None:
        """Show a fleet, and in a few words what `run` does itself."""

    def output(self, line: str) -> None:
        """Show a line that the command printed."""
        click.echo(line)

    def close(self) -> None:
        """Give the terminal back."""


def make_view(kind: ViewKind, title: str, *, with_command: bool) -> View:
    """Return the view that was asked for; `auto` draws on a terminal that no command shares."""
    if kind is ViewKind.NONE:
        return View()
    stream = sys.stderr if with_command else sys.stdout
    if kind is ViewKind.LIVE or (kind is ViewKind.AUTO and stream.isatty() and not with_command):
        console = Console(file=stream)
        if console.is_terminal and not console.is_dumb_terminal:
            return LiveView(console, title, whole=not with_command)
    return PlainView(title, to_stderr=with_command)


class LiveView(View):
    """A frame on a terminal: the whole screen, or a panel below a command's output."""

    def __init__(self, console: Console, title: str, *, whole: bool) -> None:
        self._console = console
        self._title = title
        self._whole = whole
        self.relays = not whole
        self._live = Live(
            console=console,
            screen=whole,
            auto_refresh=False,
            transient=not whole,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._open = ExitStack()

    def show(self, seen: Seen | None, up: timedelta, status: str) -> None:
        """Draw a frame that fits the terminal as it is now."""
        if not self._live.is_started:
            self._open.enter_context(silent_keys(all_keys=self._whole))
            self._open.enter_context(self._live)
        width, height = self._console.size
        # A line that reaches the last column makes some terminals wrap.
        lines = height if self._whole else min(_PANEL_LINES, height - 2)
        drawn = frame(seen, Frame(self._title, up, status), width - 1, max(lines, 6))
        if not self._whole:
            drawn = Text("─" * (width - 1) + "\n", "bright_black", no_wrap=True).append_text(drawn)
        self._live.update(drawn, refresh=True)

    def output(self, line: str) -> None:
        """Print a line above the panel."""
        self._console.print(Text.from_ansi(line), soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Take the frame away."""
        self._open.close()


class PlainView(View):
    """Lines about what changed."""

    def __init__(self, title: str, *, to_stderr: bool) -> None:
        self._ticker = Ticker()
        self._err = to_stderr
        self._status = ""
        self._say(f"reuse-queue  {title}")

    def show(self, seen: Seen | None, up: timedelta, status: str) -> None:  # noqa: ARG002  # `up` is in every line's time
        """Print what is new."""
        for line in self._ticker.lines(seen) if seen else ():
            self._say(line)
        if status != self._status:
            self._status = status
            self._say(status)

    def _say(self, line: str) -> None:
        stream = sys.stderr if self._err else sys.stdout
        click.secho(line, file=stream, dim=stream.isatty() and self._err)
        stream.flush()
