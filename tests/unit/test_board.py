import os
import time
from collections.abc import Iterator

import pytest

from reuse_queue.board import MOST_UNBEGUN, Board, Overdue, Slot


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.create(3)
    yield made
    made.close()


def test_what_runs_is_seen_from_another_process_without_asking_the_writer(board: Board):
    pid = os.fork()
    if pid == 0:
        Board(board.fd).put("a" * 32, 5.0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert board.read() == [Slot("a" * 32, 5.0, Overdue.TIMEOUT)]


def test_a_slot_that_was_dropped_is_free_for_another(board: Board):
    numbers = [board.put(name, None) for name in "abc"]
    board.drop(numbers[1])
    assert [slot.execution for slot in board.read()] == ["a", "c"]
    assert board.put("d", None) == numbers[1]
    assert [slot.execution for slot in board.read()] == ["a", "d", "c"]


def test_no_deadline_never_passes(board: Board):
    board.put("a", None)
    assert board.read()[0].deadline > time.monotonic() + 10**9


def test_a_moved_slot_has_a_new_deadline_and_says_what_it_means(board: Board):
    number = board.put("a", None)
    board.move(number, "a", 7.5, Overdue.CANCELED)
    assert board.read() == [Slot("a", 7.5, Overdue.CANCELED)]


def test_there_are_as_many_slots_as_were_made_and_what_finds_none_is_not_shown(board: Board):
    assert board.slots == 3
    for name in "abc":
        board.put(name, None)
    assert board.put("d", None) == -1


def test_what_has_not_begun_is_seen_until_it_does(board: Board):
    numbers = [board.expect(name * 32) for name in "abc"]
    board.begin(numbers[1])
    assert sorted(board.unbegun()) == ["a" * 32, "c" * 32]
    assert board.read() == []


def test_a_claim_on_its_way_is_seen_by_what_its_executions_start_with(board: Board):
    board.claim("a" * 24 + "00000001")
    assert board.unbegun() == ["a" * 24]
    board.claim("")
    assert board.unbegun() == []


def test_what_finds_no_room_counts_as_begun(board: Board):
    numbers = [board.expect("a" * 32) for _ in range(MOST_UNBEGUN)]
    assert numbers[-1] == -1
    assert len(board.unbegun()) == MOST_UNBEGUN - 1
