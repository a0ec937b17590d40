"""As many replicas as the work asks for, where there is room for them, and no longer."""

from collections import Counter

import pytest

from support.fleet_processes import ENV, FleetProcesses

pytestmark = pytest.mark.timeout(60)


def test_a_backlog_spreads_over_hosts_up_to_the_maximum_and_idle_replicas_go(
    fleet: FleetProcesses,
):
    app = fleet.write(replicas=(1, 4), down=1)
    fleet.scaler()
    for host in ("a", "b"):
        fleet.agent(host)
        fleet.offered(on=host)
    [first] = fleet.ready(1)
    jobs = app.wait.enqueue_many([()] * 12)
    replicas = fleet.ready(4)
    assert Counter(each.host for each in replicas) == {"a": 2, "b": 2}
    assert first.name in {each.name for each in replicas}
    fleet.until(lambda: fleet.snapshot().claimed == 8, "work for every slot")
    fleet.open()
    assert set(fleet.finished(jobs)) == {each.pid for each in replicas}
    fleet.ready(1)
    assert {each.want for each in fleet.decisions() if each.demand == 0} == {1}
    assert fleet.snapshot().deaths == ()


def test_what_hosts_have_no_room_for_waits_and_says_so(fleet: FleetProcesses):
    app = fleet.write(replicas=(0, 3), concurrency=1)
    fleet.scaler()
    fleet.agent("a", "--max-replicas", "1")
    fleet.offered()
    jobs = app.wait.enqueue_many([()] * 3)
    fleet.ready(1)
    lack = fleet.until(lambda: fleet.decisions()[0].unschedulable, "the lack of room")
    assert lack == "2 more wanted, hosts are full: a 1/1"
    assert lack in fleet.command("explain", ENV)
    fleet.agent("b")
    replicas = fleet.ready(3)
    assert Counter(each.host for each in replicas) == {"a": 1, "b": 2}
    fleet.open()
    fleet.finished(jobs)
