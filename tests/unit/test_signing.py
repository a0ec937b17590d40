import pytest

from reuse_queue import InvalidSettings, InvalidSignature, Settings
from reuse_queue.signing import Signer, signer

OLD, NEW = f"2025:{'o' * 32}", f"2026:{'n' * 32}"


def made(keys: str) -> Signer:
    found = signer(keys)
    assert found is not None
    return found


def test_without_keys_there_is_no_signer():
    assert signer("") is None


def test_what_was_signed_is_accepted_for_that_job_alone():
    one = made(NEW)
    signature = one.sign("j1", "app", b"data")
    one.check("j1", "app", b"data", signature)
    for job_id, env, data in [
        ("j2", "app", b"data"),
        ("j1", "other", b"data"),
        ("j1", "app", b"Data"),
        # The same bytes in a row, cut differently.
        ("j1a", "pp", b"data"),
        ("j1", "ap", b"pdata"),
    ]:
        with pytest.raises(InvalidSignature, match="was changed, or was signed for another job"):
            one.check(job_id, env, data, signature)


def test_a_key_is_changed_by_way_of_two():
    before, both, after = made(OLD), made(f"{NEW}, {OLD}"), made(NEW)
    both.check("j1", "app", b"", before.sign("j1", "app", b""))
    after.check("j1", "app", b"", both.sign("j1", "app", b""))
    with pytest.raises(InvalidSignature, match=r"key not known here: '2025' \(known: 2026"):
        after.check("j1", "app", b"", before.sign("j1", "app", b""))


def test_another_secret_of_the_same_name_does_not_do():
    signature = made(f"2026:{'x' * 32}").sign("j1", "app", b"")
    with pytest.raises(InvalidSignature, match="with another secret named '2026'"):
        made(NEW).check("j1", "app", b"", signature)


@pytest.mark.parametrize(
    ("signature", "says"),
    [
        (None, "is not signed.*set REUSE_QUEUE_SIGNING_KEYS where it is enqueued"),
        (b"", "is not signed"),
        (b"1:2026:", "does not fit"),
        (b"1:2026:\xff", "does not fit"),
        (b"1:\xff\x00:x", "key not known here"),
        (b"1", "key not known here"),
        (b"2:2026:abc", "newer release.*upgrade this host"),
        (b"\xff", "newer release"),
    ],
)
def test_what_is_no_signature_is_refused_in_words(signature: bytes | None, says: str):
    with pytest.raises(InvalidSignature, match=says):
        made(NEW).check("j1", "app", b"", signature)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("swordfish-swordfish-swordfish-swordfish", "key 1 must be ID:SECRET"),
        (f"a b:{'s' * 32}", "key 1 must be ID:SECRET"),
        (f"{NEW},", "key 2 must be ID:SECRET"),
        ("a:swordfish", "secret of key a must have at least 32 characters; python -c"),
        (f"{NEW},{NEW}", "two keys have the id 2026"),
        (f"{NEW},{OLD},a:{'s' * 32}", "at most 2 keys"),
    ],
)
def test_keys_that_will_not_do_are_refused_and_no_secret_is_shown(keys: str, says: str):
    with pytest.raises(InvalidSettings, match=says) as refused:
        Settings.from_env({"REUSE_QUEUE_SIGNING_KEYS": keys})
    assert "swordfish" not in str(refused.value)
    assert "s" * 32 not in str(refused.value)


def test_settings_carry_keys_to_children_and_show_them_to_nobody():
    settings = Settings(signing_keys=NEW)
    assert Settings.from_env(settings.to_env()) == settings
    assert "n" * 32 not in repr(settings)
    assert "n" * 32 not in repr(made(NEW))
