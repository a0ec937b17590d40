"""An agent, a leading scaler, a zygote that stands still (SIGSTOP) alone, and perhaps goes on."""

import psutil
import pytest

from support.fleet_processes import FleetProcesses

pytestmark = pytest.mark.timeout(90)


def test_the_replicas_of_a_stopped_agent_serve_on_and_are_in_its_charge_again_afterwards(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 1))
    _, agent = fleet.serve()
    held = app.wait.enqueue()
    fleet.running(held)
    [replica] = fleet.ready(1)
    stopped = psutil.Process(agent.pid)
    stopped.suspend()
    fleet.until(lambda: not fleet.hosts(), "the end of the host's lease")
    # Its replica has one of its own.
    during = app.add.enqueue_many([(number, 1) for number in range(10)])
    assert fleet.finished(during) == list(range(1, 11))

    stopped.resume()
    assert fleet.offered()
    after = app.add.enqueue_many([(number, 1) for number in range(10)])
    fleet.finished(after)
    fleet.open()
    assert fleet.finished([held]) == [replica.pid]
    assert {len(fleet.runs(job)) for job in [held, *during, *after]} == {1}
    assert fleet.snapshot().deaths == ()

    psutil.Process(replica.pid).kill()
    fleet.gone(replica.name)
    [death] = fleet.snapshot().deaths
    assert (death.replica, death.cause) == (replica.name, "killed by SIGKILL")
    assert fleet.finished([app.add.enqueue(1, 2)]) == [3]
    assert fleet.ready(1)[0].host == "a"


def test_a_scaler_that_stood_still_while_it_led_orders_nothing_once_another_one_leads(
    short_leased: FleetProcesses,
):
    fleet = short_leased
    app = fleet.write(replicas=(0, 4), concurrency=1)
    first, _ = fleet.serve()
    assert fleet.leader() == first.pid
    second = fleet.scaler()
    stopped = psutil.Process(first.pid)
    stopped.suspend()
    # It is told of them, and would order replicas for them when it goes on.
    held = app.wait.enqueue_many([()] * 2)
    fleet.running(*held)
    assert fleet.leader() == second.pid
    before = {each.name for each in fleet.ready(2)}
    fence = fleet.raw.get("reuse:fence")

    stopped.resume()
    fleet.until(lambda: "lead lost" in fleet.logs(), "what it says")
    more = app.wait.enqueue()
    fleet.running(more)
    assert before < {each.name for each in fleet.ready(3)}
    assert (fleet.leader(), fleet.raw.get("reuse:fence")) == (second.pid, fence)

    # It stands by, and takes the lead again when it is needed.
    second.kill()
    last = app.wait.enqueue()
    fleet.running(last)
    assert fleet.leader() == first.pid
    fleet.open()
    fleet.finished([*held, more, last])
    assert {len(fleet.runs(job)) for job in [*held, more, last]} == {1}
    assert fleet.snapshot().deaths == ()


def test_a_zygote_that_forks_nothing_any_more_is_replaced(short_leased: FleetProcesses):
    fleet = short_leased
    fleet.at_start("from reuse_agent import zygote; zygote.FORKS_WITHIN_S = 3.0")
    app = fleet.write(replicas=(0, 2), concurrency=1)
    _, agent = fleet.serve()
    held = app.wait.enqueue()
    fleet.running(held)
    zygote = fleet.zygote(agent)
    zygote.suspend()
    other = app.wait.enqueue()
    fleet.until(lambda: not zygote.is_running(), "its end")
    fleet.running(other)
    fleet.open()
    first, second = fleet.finished([held, other])
    assert [fleet.runs(job) for job in (held, other)] == [[first], [second]]
    assert first != second
    assert "zygote killed" in fleet.logs()
