"""Commands for long runs that are told to stop."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
PROGRAM = """
import sys, threading, time
from support.interrupts import stoppable

def main():
    threading.Thread(target=time.sleep, args=[60]).start()
    try:
        print("runs", flush=True)
        time.sleep(60)
    finally:
        print("cleared up")

sys.exit(stoppable("long", main))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_long_run_that_is_told_to_stop_clears_up_and_waits_for_no_thread(number: signal.Signals):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "cleared up\n")
    assert err == "long: stopped before its end, nothing was judged\n"
