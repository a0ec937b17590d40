"""The streams that tell of deaths and decisions keep the latest, however many there were."""

from __future__ import annotations

from typing import Any

from reuse_queue.broker.connection import Connection
from support.roster import ENV, Roster
from support.site import Site

# Redis trims whole blocks of entries, of a hundred at most.
BLOCK = 100


def test_of_thousands_of_deaths_about_a_hundred_are_kept_the_latest(site: Site):
    for number in range(2000):
        name = site.replica(f"r{number}")
        site.end(name, {}, cause=f"cause {number}")
    stream = site.keys.deaths("app")
    assert 100 <= site.raw.xlen(stream) <= 100 + BLOCK
    causes = [entry[b"cause"] for _, entry in site.raw.xrevrange(stream, count=100)]
    assert causes == [f"cause {number}".encode() for number in range(1999, 1899, -1)]


def test_of_thousands_of_decisions_about_a_thousand_are_kept_the_latest(
    connection: Connection, raw: Any
):
    roster = Roster(connection, raw)
    for number in range(3000):
        roster.apply(reason=f"reason {number}")
    stream = roster.keys.decisions(ENV)
    assert 1000 <= raw.xlen(stream) <= 1000 + BLOCK
    newest = roster.run(roster.scaling.decisions(ENV, 1000))
    assert [each.reason for each in newest] == [f"reason {n}" for n in range(2999, 1999, -1)]
    # Looks that change nothing are not worth an entry.
    before = raw.xlen(stream)
    for _ in range(5):
        roster.apply(reason="reason 2999")
    assert raw.xlen(stream) == before
