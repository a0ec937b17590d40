"""`./dev recovery` fails where an aim is missed, by its longest time."""

import pytest

from chaos import recovery

REPLICA, HOST, AGENT, SCALER, REDIS = range(5)
IN_TIME = [0.9, 31.9, 60.0, 4.9, 2.9]


@pytest.mark.parametrize(
    ("which", "took", "said"),
    [
        (REPLICA, 1.1, ["a replica is killed → its job runs again: 1.10 s, not ≤ 1 s"]),
        (HOST, 32.5, ["a host is killed → its job runs again elsewhere: 32.50 s, not ≤ lease + 2"]),
        (AGENT, 80.0, []),
        (SCALER, 5.5, ["the standby orders another: 5.50 s, not ≤ 5 s"]),
        (REDIS, 3.1, ["Redis is back → a new job has ended: 3.10 s, not ≤ 3 s"]),
    ],
)
def test_the_longest_time_over_an_aim_fails_the_command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    which: int,
    took: float,
    said: list[str],
):
    times = [[0.1, each] for each in IN_TIME]
    times[which].insert(1, took)
    measured = list(zip(recovery._CASES, times, strict=True))
    monkeypatch.setattr(recovery, "_ours", lambda *_: iter(measured))
    monkeypatch.setattr("sys.argv", ["recovery"])
    assert recovery.main() == len(said)
    out, err = capsys.readouterr()
    assert f" | {took:.2f} s | 3 |" in out
    assert len(err.splitlines()) == len(said)
    assert all(each in err for each in said)


def test_a_host_s_death_is_measured_three_times_however_often_the_others_are():
    assert [min(5, case.most) for case in recovery._CASES] == [5, 3, 5, 5, 5]
