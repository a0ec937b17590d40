"""The command line: look at a fleet, steer it, run its parts."""

from __future__ import annotations

import click

from reuse_queue.cli.agent import agent
from reuse_queue.cli.doctor import doctor
from reuse_queue.cli.edge import Commands
from reuse_queue.cli.environments import environments
from reuse_queue.cli.explain import explain
from reuse_queue.cli.jobs import jobs
from reuse_queue.cli.replicas import replicas
from reuse_queue.cli.run import run
from reuse_queue.cli.scaler import scaler


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done; 1 it failed, or doctor found a problem; 2 the command line, a "
    "setting or a target is wrong; 3 Redis cannot be reached or used; 4 there is no such "
    "environment, replica or job.",
)
@click.version_option(package_name="reuse-queue", prog_name="reuse-queue")
def commands() -> None:
    """Warm, autoscaled worker fleets on Redis."""


for command in (run, agent, scaler, environments, replicas, jobs, explain, doctor):
    commands.add_command(command)
