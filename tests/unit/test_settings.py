from dataclasses import fields
from datetime import timedelta

import pytest

from reuse_queue import InvalidSettings, Settings


def test_every_field_has_its_variable():
    texts = {"timedelta": "31.5", "int": "31", "str": "console"}
    given = {f"REUSE_QUEUE_{each.name.upper()}": texts[str(each.type)] for each in fields(Settings)}
    keys = f"a:{'s' * 32}"
    given |= {"REUSE_QUEUE_LEASE": "100", "REUSE_QUEUE_LOG_LEVEL": "debug"}
    given |= {"REUSE_QUEUE_SIGNING_KEYS": keys}
    given["REUSE_QUEUE_REPLICATION_TIMEOUT"] = "5"
    read = Settings.from_env(given)
    assert read.heartbeat == timedelta(seconds=31.5)
    assert read.max_deliveries == 31
    assert (read.host, read.signing_keys) == ("console", keys)
    assert read.lease == timedelta(seconds=100)


def test_other_names_for_what_others_set_too():
    read = Settings.from_env({"REDIS_URL": "redis://a", "RQ_KEY_PREFIX": "{x}"})
    assert (read.redis_url, read.key_prefix) == ("redis://a", "{x}")


def test_our_own_name_goes_before_the_others():
    given = {"REDIS_URL": "redis://a", "REUSE_QUEUE_REDIS_URL": "redis://b"}
    assert Settings.from_env(given).redis_url == "redis://b"


def test_an_empty_variable_is_none():
    assert Settings.from_env({"REUSE_QUEUE_LEASE": ""}).lease == Settings().lease


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"REUSE_QUEUE_LEASE": "soon"}, "REUSE_QUEUE_LEASE='soon': it must be a number of seconds"),
        ({"REUSE_QUEUE_LEASE": "1e300"}, "REUSE_QUEUE_LEASE='1e300'"),
        ({"REUSE_QUEUE_LEASE": "nan"}, "REUSE_QUEUE_LEASE='nan'"),
        ({"REUSE_QUEUE_LEASE": "0"}, "lease must be longer than 0 seconds"),
        ({"REUSE_QUEUE_LEASE": "1.5"}, "lease must be at least twice as long as heartbeat"),
        ({"REUSE_QUEUE_MAX_DELIVERIES": "0"}, "max_deliveries must be at least 1"),
        ({"REUSE_QUEUE_MAX_DELIVERIES": "2.5"}, "MAX_DELIVERIES='2.5': it must be a whole number"),
        ({"REUSE_QUEUE_MAX_PAYLOAD": "-1"}, "max_payload must be at least 1"),
        ({"REUSE_QUEUE_DRAIN_GRACE": "-1"}, "drain_grace must not be negative"),
        ({"REUSE_QUEUE_LOG_LEVEL": "loud"}, "log_level must be one of debug, info, .*got 'loud'"),
        ({"REUSE_QUEUE_LOG_FORMAT": "xml"}, "log_format must be console or json, got 'xml'"),
        ({"RQ_KEY_PREFIX": "a b"}, "key_prefix 'a b' may hold only"),
    ],
)
def test_a_value_that_will_not_do_is_named(given: dict[str, str], says: str):
    with pytest.raises(InvalidSettings, match=says):
        Settings.from_env(given)
