"""The scaler's reasons in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import groupby

from reuse_queue.facts import Action, ActionKind, EnvironmentRecord, Host
from reuse_queue.scaler.crashes import Crashes
from reuse_queue.scaler.demand import Demand
from reuse_queue.scaler.plan import Plan

_SHOWN = 5
_LONGEST_DETAIL = 4000


def calls_for(demand: Demand) -> str:
    """Return what the jobs call for: "12 jobs want 3 replicas (4 per replica)"."""
    if not demand.jobs:
        return f"no job, {plural(demand.want, 'replica')} wanted"
    verb = "wants" if demand.jobs == 1 else "want"
    text = f"{plural(demand.jobs, 'job')} {verb} {plural(demand.need, 'replica')}"
    if demand.concurrency > 1:
        text += f" ({demand.concurrency} per replica)"
    if demand.want < demand.need:
        text += f", at most {demand.want}"
    elif demand.want > demand.need:
        text += f", at least {demand.want}"
    return text


def there(supply: int) -> str:
    """Return "none is there", "1 is there", "2 are there"."""
    return {0: "none is there", 1: "1 is there"}.get(supply, f"{supply} are there")


def standing(demand: Demand, supply: int) -> str:
    """Return why nothing is done where nothing is short."""
    text = f"{plural(demand.want, 'replica')} wanted, {there(supply)}"
    ttl = seconds(demand.scaledown_ttl)
    return f"{text}: an idle one stays for {ttl}" if supply > demand.want else text


def waiting(row: Crashes) -> str:
    """Return why nothing is started after deaths."""
    cause = row.last.cause if row.last else ""
    died = "1 replica died" if row.count == 1 else f"{row.count} replicas in a row died"
    return f"{died} young ({cause}): the next try is {seconds(row.wait)} after that"


def degraded(version: str, row: Crashes) -> str:
    """Return why a version is DEGRADED; the last line is the shortest that says it."""
    last = row.last
    if last is None:
        return ""
    head = (
        f"version {version} cannot start: {row.count} replicas in a row died young, "
        f"the last one on host {last.host}: {last.cause}"
    )
    # A traceback tells most at its end, and every decision is kept.
    detail = last.detail.strip()[-_LONGEST_DETAIL:]
    return f"{head}\n{detail}" if detail else head


def broken(record: EnvironmentRecord, hosts: Iterable[Host]) -> str:
    """Return why no live host can load an environment; '' where one can, or none has tried."""
    names = {record.name, record.target} - {""}
    failures = []
    for host in hosts:
        if record.name in host.offers:
            return ""
        failures += [
            f"host {host.name} cannot load {name}:\n{traceback.strip()[-_LONGEST_DETAIL:]}"
            for name, traceback in host.broken.items()
            if name in names
        ]
    return failures[0] if failures else ""


def deeds(actions: Sequence[Action]) -> str:
    """Return what is done, in one line: "start 2 on a, 1 on b; drain x (scale-down)"."""
    parts = []
    kinds = sorted(actions, key=lambda each: list(ActionKind).index(each.kind))
    for kind, group in groupby(kinds, key=lambda each: each.kind):
        if kind is ActionKind.START:
            hosts = sorted(Counter(each.host for each in group).items())
            parts.append("start " + ", ".join(f"{count} on {host}" for host, count in hosts))
        elif kind is ActionKind.UNDRAIN:
            parts.append("un-drain " + _names(group))
        else:
            by_reason = sorted(group, key=lambda each: each.reason.value if each.reason else "")
            for reason, same in groupby(by_reason, key=lambda each: each.reason):
                parts.append(f"drain {_names(same)} ({reason.value if reason else ''})")
    return "; ".join(parts)


def reason(plan: Plan, actions: Sequence[Action]) -> str:
    """Return the reason of a decision that does these actions."""
    return f"{plan.why}: {deeds(actions)}" if actions else plan.rest


def plural(count: int, noun: str) -> str:
    """Return "1 job", "2 jobs"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def seconds(span: timedelta) -> str:
    """Return a duration in seconds."""
    return f"{span.total_seconds():g} s"


def _names(actions: Iterable[Action]) -> str:
    names = [each.replica for each in actions]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
