"""place: which hosts get the starts of many environments. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from reuse_queue.facts import FORMAT, Host, Replica
from reuse_queue.scaler.plan import Plan, Start


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where one environment's starts go."""

    starts: tuple[tuple[str, str], ...] = ()
    """(host, version) for each."""
    unplaced: tuple[Start, ...] = ()
    unschedulable: str = ""
    """Why some of them go nowhere, or empty."""


def place(
    plans: Iterable[Plan], replicas: Iterable[Replica], hosts: Sequence[Host]
) -> dict[str, Placement]:
    """Return a placement for each environment that wants starts.

    First every environment gets what its least number of replicas takes, then whoever has the
    smallest part of what it wants comes next, one replica a turn. Among the hosts with room that
    offer the version, the one with the fewest replicas of the environment is taken.

    Args:
        plans: of all the environments that compete.
        replicas: all replicas of all environments, in whatever state: each takes a place.
        hosts: the live ones.
    """
    rooms = _Rooms(replicas, hosts)
    asks = [_Ask(plan) for plan in sorted(plans, key=lambda each: each.environment) if plan.starts]
    _serve(asks, rooms, minima=True)
    _serve(asks, rooms, minima=False)
    return {
        ask.plan.environment: Placement(
            starts=tuple(ask.placed),
            unplaced=tuple(Start(version=v, count=n) for v, n in Counter(ask.lacking).items()),
            unschedulable=rooms.lack(ask) if ask.lacking else "",
        )
        for ask in asks
    }


@dataclass(slots=True)
class _Ask:
    """What one environment still wants."""

    plan: Plan
    placed: list[tuple[str, str]] = field(default_factory=list)
    wanted: list[str] = field(init=False)
    """A version for each replica."""
    lacking: list[str] = field(default_factory=list)
    """The versions of those that no host has room for."""

    def __post_init__(self) -> None:
        self.wanted = [each.version for each in self.plan.starts for _ in range(each.count)]

    def give_up(self, version: str) -> None:
        """Want no more of a version that nobody has room for."""
        self.lacking += [each for each in self.wanted if each == version]
        self.wanted = [each for each in self.wanted if each != version]

    @property
    def share(self) -> float:
        """The part of what it wants that it has."""
        return (self.plan.supply + len(self.placed)) / max(1, self.plan.want)

    @property
    def below_minimum(self) -> bool:
        return len(self.placed) < self.plan.minimum


class _Rooms:
    """The free places of hosts."""

    def __init__(self, replicas: Iterable[Replica], hosts: Sequence[Host]) -> None:
        self._hosts = hosts
        self._taken: Counter[str] = Counter()
        self._shared: Counter[tuple[str, str]] = Counter()
        for each in replicas:
            self._take(each.host, each.environment)

    def put(self, env: str, version: str) -> str:
        """Take a place and return its host; '' where there is none."""
        free = [each for each in self._offering(env, version) if self._free(each) > 0]
        if not free:
            return ""
        best = min(
            free, key=lambda each: (self._shared[each.name, env], -self._free(each), each.name)
        )
        self._take(best.name, env)
        return best.name

    def lack(self, ask: _Ask) -> str:
        """Return why nothing more of an environment can be placed."""
        env = ask.plan.environment
        offering = list(self._offering(env, ask.lacking[0]))
        if offering:
            full = ", ".join(
                f"{each.name} {self._taken[each.name]}/{each.max_replicas}" for each in offering
            )
            return f"{len(ask.lacking)} more wanted, hosts are full: {full}"
        leaving = [each.name for each in self._hosts if each.draining and env in each.offers]
        if leaving:
            return f"the hosts that offer environment {env} are draining: {', '.join(leaving)}"
        missing = "no live host offers environment " + env
        newer = [each.name for each in self._hosts if each.format > FORMAT]
        if newer:
            missing += f"; upgrade this scaler: of a newer release are {', '.join(newer)}"
        return missing if self._hosts else f"{missing}: there is no live host at all"

    def _take(self, host: str, env: str) -> None:
        self._taken[host] += 1
        self._shared[host, env] += 1

    def _free(self, host: Host) -> int:
        return host.max_replicas - self._taken[host.name]

    def _offering(self, env: str, version: str) -> Iterator[Host]:
        for host in self._hosts:
            if not host.draining and env in host.offers and host.offers[env] == version:
                yield host


def _serve(asks: Sequence[_Ask], rooms: _Rooms, *, minima: bool) -> None:
    """Place one replica a turn until nobody wants, or gets, any more."""
    open_asks = [each for each in asks if each.wanted]
    while open_asks:
        if minima:
            open_asks = [each for each in open_asks if each.wanted and each.below_minimum]
            if not open_asks:
                return
        ask = min(open_asks, key=lambda each: (each.share, -len(each.wanted)))
        version = ask.wanted[0]
        host = rooms.put(ask.plan.environment, version)
        if host:
            ask.placed.append((host, ask.wanted.pop(0)))
        else:
            ask.give_up(version)
        if not ask.wanted:
            open_asks.remove(ask)
