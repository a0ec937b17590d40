from datetime import timedelta

import pytest
from rich.cells import cell_len

from reuse_queue.cli.screen import Frame, frame, shares
from reuse_queue.cli.seen import Seen
from support.made_up import NOW, decision, record, replica, snapshot

SAYS = Frame("Valkey 9.1.2, data in .reuse-queue", timedelta(seconds=75), "Ctrl-C stops")


def crowded() -> Seen:
    fleets = tuple(
        snapshot(
            record(name),
            backlog=1_234_567,
            claimed=24,
            finished_total=98_765,
            failed_total=2,
            replicas=tuple(
                replica(f"{name}-some-host-{i:06x}", held=i % 9, jobs_done=10 * i)
                for i in range(30)
            ),
        )
        for name in ("classify", "an-environment-with-quite-a-long-name", "ümläute-and-漢字")
    )
    decided = tuple(decision(i, reason="a reason in words " * 20) for i in range(40))
    return Seen(at=NOW, environments=fleets, decisions=decided, rates={"classify": 312.4})


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (40, 10), (79, 16), (200, 60)])
def test_a_frame_is_exactly_as_high_as_asked_and_never_wider(width: int, height: int):
    for seen in (None, Seen(at=NOW), crowded()):
        lines = frame(seen, SAYS, width, height).plain.split("\n")
        assert len(lines) == height
        assert max(map(cell_len, lines)) <= width
        assert lines[-1] == "Ctrl-C stops"


def test_it_shows_what_each_environment_and_replica_does():
    seen = Seen(
        at=NOW,
        environments=(
            snapshot(
                record(degraded="Traceback\nImportError: no module"),
                backlog=1204,
                claimed=11,
                finished_total=3882,
                failed_total=7,
                replicas=(
                    replica("classify-h-000001", held=20, jobs_done=1234),
                    replica("classify-h-000002", held=1, idle_since=None),
                    replica("classify-h-000003", "starting", ready_at=None),
                    replica("classify-h-000004", "draining", idle_since=NOW - timedelta(minutes=4)),
                ),
            ),
        ),
        rates={"classify": 312.4},
    )
    lines = frame(seen, SAYS, 80, 24).plain.split("\n")
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if " " in line}
    rows = {name: " ".join(rest.split()) for name, rest in rows.items()}
    assert rows["classify"] == "degraded 2+1 of 0-3 1,204 11 3,882 7 312"
    assert rows["classify-h-000001"] == "ready ━━━━━━━━ 8/8+12 1,234 31s"
    assert rows["classify-h-000002"].startswith("ready ━─────── 1/8")
    assert rows["classify-h-000003"] == "starting 40s"
    assert rows["classify-h-000004"] == "draining ──────── 0/8 0 31s 4m"


def test_a_name_that_does_not_fit_keeps_the_end_that_tells_it_apart():
    text = frame(crowded(), SAYS, 80, 140).plain
    assert "…-00001d" in text
    assert "…-000002" in text


def test_what_does_not_fit_is_counted():
    assert "more" in frame(crowded(), SAYS, 80, 24).plain


def test_every_section_gets_room_before_any_gets_all_it_wants():
    assert shares(15, [3, 90, 40]) == [3, 6, 6]
    assert shares(15, [1, 2, 3]) == [1, 2, 3]
    assert shares(0, [1, 2, 3]) == [0, 0, 0]
    assert shares(-4, [1, 2, 3]) == [0, 0, 0]
