"""What chaos takes for a trace of something that should have ended."""

import redis

from chaos.found import look


def test_mail_and_lists_of_children_may_stay_for_a_minute_and_not_for_ever(raw: redis.Redis):
    keys = ("reuse:mail:dead", "reuse:mail:kept", "reuse:{a}:children:j", "reuse:{a}:held")
    for key in keys:
        raw.rpush(key, "j")
    assert look(raw, ["a"]).strays == keys
    raw.expire("reuse:mail:dead", 60)
    raw.expire("reuse:mail:kept", 600)
    raw.expire("reuse:{a}:children:j", 60)
    assert look(raw, ["a"]).strays == ("reuse:mail:kept", "reuse:{a}:held")
