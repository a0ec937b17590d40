"""A replica that a thread plays: it claims jobs and finishes them as a test says."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from reuse_queue.job import ClaimedJob, Outcome
from support.site import Site

Play: TypeAlias = Callable[[Sequence[ClaimedJob]], Sequence[Outcome]]


@contextmanager
def played(site: Site, play: Play) -> Iterator[None]:
    """Claim up to 50 jobs at a time, and record what `play` makes of them."""
    over = threading.Event()

    def serve() -> None:
        while not over.wait(0.002):
            if outcomes := play(site.claim(count=50)):
                site.finish(*outcomes)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
