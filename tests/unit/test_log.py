"""Logs: what several processes write to one file."""

import io

import pytest
import structlog

from reuse_queue import log
from reuse_queue.settings import Settings


class Written(io.StringIO):
    """Keeps what each write was."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_each_line_is_one_write_so_that_no_other_process_comes_between(log_format: str) -> None:
    out = Written()
    try:
        log.configure(Settings(log_format=log_format), out)
        structlog.get_logger().info("it happened", why="so")
    finally:
        structlog.reset_defaults()
    [line] = out.writes
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert "it happened" in line
