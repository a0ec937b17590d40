import pytest

from reuse_queue.broker.address import address, shown_url
from reuse_queue.errors import InvalidSettings


def test_a_url_of_one_server_is_left_to_redis_py():
    for url in ("redis://h:1/2", "rediss://u:p@h", "unix:///tmp/x.sock?db=0"):
        assert address(url).url == url
        assert address(url).sentinels == ()


def test_a_url_of_sentinels_names_them_the_primary_and_the_database():
    found = address("redis+sentinel://h1:1,h2,[::1]:3/mymaster/4")
    assert found.sentinels == (("h1", 1), ("h2", 26379), ("::1", 3))
    assert found.service == "mymaster"
    assert found.options == {"db": 4}
    assert found.sentinel_options == {}


def test_the_login_is_the_primarys_and_that_of_the_sentinels_goes_by_options():
    found = address(
        "redis+sentinel://me:p%40w@h/main?sentinel_username=s&sentinel_password=p%2Fw&client_name=x"
    )
    assert found.options == {"username": "me", "password": "p@w", "db": 0, "client_name": "x"}
    assert found.sentinel_options == {"username": "s", "password": "p/w"}


def test_tls_is_for_the_primary_and_for_the_sentinels():
    found = address("rediss+sentinel://h/main?ssl_ca_certs=/ca.pem&ssl_check_hostname=false")
    shared = {"ssl": True, "ssl_ca_certs": "/ca.pem", "ssl_check_hostname": False}
    assert found.options == {"db": 0, **shared}
    assert found.sentinel_options == shared


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://localhost", "it must start with redis://"),
        ("localhost:6379", "it must start with redis://"),
        ("redis://h:port", "[Pp]ort"),
        ("redis+sentinel://h1:1,h2:2", "by what name they know the primary"),
        ("redis+sentinel://h1:1,h2:2/", "by what name they know the primary"),
        ("redis+sentinel://h1:one/main", "'h1:one' is no sentinel's HOST:PORT"),
        ("redis+sentinel://h1,,h2/main", "'' is no sentinel's HOST:PORT"),
        ("redis+sentinel://h1/main/zero", "the database must be a number, not 'zero'"),
    ],
)
def test_what_is_no_url_of_a_redis_is_refused_and_says_why(url: str, why: str):
    with pytest.raises(InvalidSettings, match=why):
        address(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("unix:///tmp/x.sock?db=0", "unix:///tmp/x.sock?db=0"),
        ("redis://me:a@b:c@host:1/0", "redis://me:***@host:1/0"),
        ("redis://:pw@host", "redis://:***@host"),
        ("redis://host/0?password=pw&db=1", "redis://host/0?password=***&db=1"),
        (
            "redis+sentinel://me:pw@h1:1,[::1]:2/main?sentinel_password=pw",
            "redis+sentinel://me:***@h1:1,[::1]:2/main?sentinel_password=***",
        ),
    ],
)
def test_a_shown_url_keeps_its_passwords_to_itself(url: str, shown: str):
    assert shown_url(url) == shown


def test_a_refusal_shows_no_password():
    with pytest.raises(InvalidSettings) as caught:
        address("redis+sentinel://me:secret@h1:1")
    assert "secret" not in str(caught.value)
