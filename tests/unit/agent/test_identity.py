"""Which process an agent is, and whether it is there."""

import os
import signal
import subprocess

from reuse_agent import identity
from reuse_agent.identity import Presence, presence


def test_this_process_is_alive():
    assert presence(identity.mine()) is Presence.ALIVE


def test_a_number_that_another_process_has_now_is_not_the_one_it_was():
    here, pid, start = identity.mine().split("/")
    assert presence(f"{here}/{pid}/{int(start) - 1}") is Presence.GONE


def test_a_process_that_has_ended_is_gone():
    child = subprocess.Popen(["true"])
    child.wait()
    here = identity.mine().split("/")[0]
    assert presence(f"{here}/{child.pid}/12345") is Presence.GONE


def test_a_process_that_has_ended_and_is_not_waited_for_is_gone():
    child = subprocess.Popen(["sleep", "60"])
    here = identity.mine().split("/")[0]
    known = f"{here}/{child.pid}/{identity.started(child.pid)}"
    assert presence(known) is Presence.ALIVE
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert presence(known) is Presence.GONE
    child.wait()


def test_of_another_boot_or_container_nothing_is_known():
    _, pid, start = identity.mine().split("/")
    assert presence(f"another-boot.1/{pid}/{start}") is Presence.ELSEWHERE
    assert presence("") is Presence.ELSEWHERE


def test_a_stopped_process_is_seen_as_such():
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert not identity.stopped(child.pid)
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        assert identity.stopped(child.pid)
    finally:
        child.kill()
        child.wait()
