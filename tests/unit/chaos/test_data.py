"""What chaos writes into a queue has the end that it says."""

import json

import pytest

from chaos.faults.data import SPOILT


@pytest.mark.parametrize("payload", SPOILT)
def test_no_payload_that_has_to_fail_is_a_sound_call_of_a_task_that_takes_one_text(payload: bytes):
    try:
        call = json.loads(payload)
    except (ValueError, RecursionError):
        return
    task, instance, given, named = call or ("", "", [], {})
    sound = task == "odd.task" and instance is None and not named
    assert not (sound and [type(each) for each in given] == [str])
