import inspect
import pickle
from traceback import format_exception
from typing import NoReturn

import pytest

import reuse_queue
from reuse_queue import ReuseQueueError, TaskFailed, errors

ALL = [
    each
    for each in vars(errors).values()
    if inspect.isclass(each) and issubclass(each, ReuseQueueError)
]


@pytest.mark.parametrize("kind", [each for each in ALL if each is not TaskFailed])
def test_an_error_without_words_says_what_its_kind_means(kind: type[ReuseQueueError]):
    assert str(kind()) == kind.__doc__
    assert str(kind("this")) == "this"


def test_every_error_is_public():
    assert {each.__name__ for each in ALL} <= set(reuse_queue.__all__)


def test_a_failure_names_the_error_first_and_shows_where_it_was():
    traceback = 'Traceback (most recent call last):\n  File "a.py"\nValueError: no such colour\n'
    error = TaskFailed("7f", traceback)
    assert str(error).splitlines()[0] == "job 7f failed: ValueError: no such colour"
    assert 'File "a.py"' in str(error)


def throw(error: Exception, cause: Exception | None) -> NoReturn:
    raise error from cause


def raised(error: Exception, cause: Exception | None = None) -> str:
    try:
        throw(error, cause)
    except Exception as caught:  # noqa: BLE001  # any kind
        return "".join(format_exception(caught))


@pytest.mark.parametrize(
    ("traceback", "named"),
    [
        (raised(ValueError("3 errors:\nx\n  too long")), "ValueError: 3 errors:"),
        (raised(ExceptionGroup("two", [ValueError(1), KeyError(2)])), "ExceptionGroup: two (2 sub"),
        (raised(KeyError("a"), ValueError("b")), "KeyError: 'a'"),
        ("app.Weird: no frame\nRegistered here: app.f.", "app.Weird: no frame"),
        ("Lost under it:\n  replica r on host h\nx.JobLost: 3 times", "x.JobLost: 3 times"),
        ("words, and nothing else", "words, and nothing else"),
    ],
)
def test_a_failure_names_the_error_however_its_message_goes_on(traceback: str, named: str):
    assert str(TaskFailed("7f", traceback)).startswith(f"job 7f failed: {named}")


def test_a_failure_that_left_no_words_says_so():
    assert "no reason was recorded" in str(TaskFailed("7f", ""))


def test_a_failure_survives_being_pickled():
    error = pickle.loads(pickle.dumps(TaskFailed("7f", "ValueError: x")))
    assert (error.job_id, error.traceback) == ("7f", "ValueError: x")
    assert str(error).startswith("job 7f failed: ValueError: x")


def test_errors_are_caught_by_the_builtin_kind_that_people_expect():
    assert issubclass(errors.RedisUnavailable, ConnectionError)
    assert issubclass(errors.ResultTimeout, TimeoutError)
    assert issubclass(errors.InvalidArguments, TypeError)
    assert issubclass(errors.JobNotFound, LookupError)
