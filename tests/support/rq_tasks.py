"""Functions that stock rq enqueues by name."""


def double(number: int) -> int:
    return 2 * number


def nothing() -> None:
    return None


def broken() -> None:
    raise ValueError("broken on purpose")


def callback(*_: object) -> None:
    return None
