import re
from collections.abc import Iterator

import pytest

from reuse_queue.broker.keys import Keys

ENV, HOST, REPLICA = "app", "h1", "app-h1-0a"


def hash_tag(key: str) -> str:
    """Return what Redis Cluster takes the slot of a key from."""
    found = re.search(r"\{([^}]+)\}", key)
    return found[1] if found else key


def own_keys(keys: Keys) -> Iterator[str]:
    yield keys.own(ENV)
    for name in ("environment", "urgent", "replicas", "held", "ended", "decisions", "deaths"):
        yield getattr(keys, name)(ENV)
    yield keys.versions(ENV)
    for name in ("replica", "waiting", "cancels"):
        yield getattr(keys, name)(ENV, REPLICA)
    yield keys.assigned(ENV, HOST)


def shared_keys(keys: Keys) -> Iterator[str]:
    for name in ("environments", "hosts", "leader", "fence", "wake_channel"):
        yield getattr(keys, name)()
    yield keys.host(HOST)
    yield keys.mailbox("0a")
    yield keys.orders_channel(HOST)


def test_keys_of_rq_are_spelled_as_rq_spells_them():
    keys = Keys()
    assert keys.queue(ENV) == "rq:queue:app"
    assert keys.job("a") == "rq:job:a"
    assert keys.dependents("a") == "rq:job:a:dependents"
    assert keys.dependencies("a") == "rq:job::a:dependencies"
    assert keys.execution("a", "e") == "rq:execution:a:e"
    assert keys.registry("wip", ENV) == "rq:wip:app"
    assert keys.worker_executions("r") == "rq:worker:r:executions"


@pytest.mark.parametrize("prefix", ["rq", "prod", "{rq}", "{rq:a}"])
def test_one_environments_own_keys_differ_and_share_a_slot(prefix: str):
    own = list(own_keys(Keys(prefix)))
    assert len(set(own)) == len(own)
    assert len({hash_tag(key) for key in own}) == 1
    assert all(key.startswith(own[0]) for key in own)


def test_a_prefix_with_a_hash_tag_puts_everything_of_an_environment_into_one_slot():
    keys = Keys("{rq}")
    every = [*own_keys(keys), *keys.books(ENV), *shared_keys(keys)]
    assert {hash_tag(key) for key in every} == {"rq"}


def test_installations_with_different_prefixes_share_no_key():
    seen: set[str] = set()
    for prefix in ("rq", "prod", "{rq}", "{rq:a}"):
        keys = Keys(prefix)
        every = {*own_keys(keys), *keys.books(ENV), *shared_keys(keys), keys.queues()}
        assert not every & seen
        seen |= every


def test_environments_of_one_installation_share_only_the_workers():
    keys = Keys()
    assert set(keys.books("a")) & set(keys.books("b")) == {keys.workers()}
