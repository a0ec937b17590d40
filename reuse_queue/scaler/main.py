"""What `reuse-queue scaler` does."""

from __future__ import annotations

import asyncio
import contextlib
import signal

import structlog

from reuse_queue import log
from reuse_queue.broker import scripts
from reuse_queue.broker.connection import Connection
from reuse_queue.scaler.loop import Scaler
from reuse_queue.settings import Settings

logger = structlog.get_logger()


def run(settings: Settings) -> None:
    """Scale until SIGTERM or SIGINT."""
    log.configure(settings)
    scripts.warm()
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    connection = Connection(settings)
    loop = asyncio.get_running_loop()
    logger.info("scaler started", redis=str(connection))
    scaling = asyncio.ensure_future(Scaler(connection).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, scaling.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await scaling
    finally:
        await connection.aclose()
    logger.info("scaler stopped")
