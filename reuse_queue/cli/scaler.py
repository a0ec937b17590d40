"""`scaler`: run the daemon that decides how many replicas there are."""

from __future__ import annotations

import click

from reuse_queue.broker.doctor import supported
from reuse_queue.cli.access import Access, with_access
from reuse_queue.scaler.main import run


@click.command(short_help="Start and drain replicas by their policies.")
@with_access
def scaler(access: Access) -> None:
    """Start and drain replicas by their environments' policies.

    Any number may run: one leads, the others take over within seconds if it goes.
    """
    access.run(supported(access.keys))
    run(access.settings)
