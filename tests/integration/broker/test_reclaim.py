"""reclaim: what nobody renews comes back, whatever state its records are in."""

from support.site import ENV, Site


def reclaim(site: Site, limit: int = 10) -> list[str]:
    return site.connection.run(site.leases.reclaim(limit))


def lapse(site: Site, *names: str) -> None:
    site.raw.zadd(site.keys.replicas(ENV), dict.fromkeys(names, site.now_ms() - 1))


def test_only_replicas_whose_lease_ran_out_are_ended(site: Site) -> None:
    site.replica("r2")
    site.running("a", "r1")
    kept = site.running("b", "r2")
    lapse(site, "r1")

    assert reclaim(site) == ["r1"]

    assert site.queue() == ["a"]
    assert site.job("a")["reuse_losses"] == "1"
    assert "replica r1 on host h1" in site.job("a")["reuse_deaths"]
    assert "lease ran out" in site.job("a")["reuse_deaths"]
    assert [*site.registry("wip")] == [f"b:{kept.execution}"]
    ((_, death),) = site.raw.xrange(site.keys.deaths(ENV))
    assert (death[b"cause"], death[b"was_ready"]) == (b"lease ran out", b"1")
    assert int(death[b"age"]) >= 5000
    assert site.raw.smembers(site.keys.workers()) == {b"rq:worker:r2"}
    assert reclaim(site) == []


def test_at_most_so_many_are_ended_at_once(site: Site) -> None:
    lapse(site, *(site.replica(f"x{n}") for n in range(3)))

    assert len(reclaim(site, 2)) == 2
    assert len(reclaim(site, 2)) == 1


def test_an_id_in_a_lost_replicas_waiting_list_goes_back_to_the_front(site: Site) -> None:
    site.enqueue("a", "b")
    site.raw.lmove(site.keys.queue(ENV), site.keys.waiting(ENV, "r1"), "LEFT", "RIGHT")
    lapse(site, "r1")

    reclaim(site)

    assert site.queue() == ["a", "b"]


def test_an_id_that_reached_a_replica_after_its_end_is_found_too(site: Site) -> None:
    """Redis may still serve the last BLMOVE of a process that has died."""
    lapse(site, "r1")
    reclaim(site)
    site.enqueue("a")
    site.raw.lmove(site.keys.queue(ENV), site.keys.waiting(ENV, "r1"), "LEFT", "RIGHT")

    reclaim(site)

    assert site.queue() == ["a"]


def test_a_job_comes_back_even_when_the_record_of_its_holder_has_expired(site: Site) -> None:
    """Everything was away for minutes, and the keys with a time to live are gone."""
    job = site.running("a")
    site.enqueue("b")
    lapse(site, "r1")
    site.raw.zadd(site.keys.registry("wip", ENV), {f"a:{job.execution}": 1})
    site.raw.delete(site.keys.worker_executions("r1"), site.keys.worker("r1"))
    site.raw.delete(site.keys.execution("a", job.execution), site.keys.executions("a"))

    reclaim(site)

    assert site.queue() == ["a", "b"]
    assert (site.status("a"), site.job("a")["reuse_losses"]) == ("queued", "1")
    assert site.traces() == set()


def test_garbage_does_not_stop_the_pass(site: Site) -> None:
    """Records of wrong types or gone: everything else is still given back."""
    for name in ("hash", "list", "set"):
        site.replica(name)
    site.running("job-host", site.replica("host", host="h2"))
    site.raw.delete(site.keys.assigned(ENV, "h2"))
    site.raw.set(site.keys.assigned(ENV, "h2"), "garbage")
    for name in ("hash", "list", "set"):
        site.running(f"job-{name}", name)
    site.raw.delete(site.keys.replica(ENV, "hash"), site.keys.waiting(ENV, "list"))
    site.raw.set(site.keys.replica(ENV, "hash"), "garbage")
    site.raw.set(site.keys.waiting(ENV, "list"), "garbage")
    site.raw.delete(site.keys.worker_executions("set"))
    site.raw.set(site.keys.worker_executions("set"), "garbage")
    site.running("broken", "r1")
    site.running("odd", "r1")
    site.running("fine", "r1")
    site.raw.delete(site.keys.job("broken"))
    site.raw.set(site.keys.job("broken"), "garbage")
    site.raw.hset(site.keys.job("odd"), "reuse_deaths", "{not json")
    site.raw.sadd(site.keys.worker_executions("r1"), "nonsense", "gone:e999")
    lapse(site, "a", "hash", "host", "list", "set", "r1", "never-registered")

    assert len(reclaim(site)) == 7

    assert set(site.queue()) == {"job-hash", "job-host", "job-list", "odd", "fine"}
    assert site.raw.zcard(site.keys.replicas(ENV)) == 0
    assert [*site.registry("wip")] == [next(m for m in site.registry("wip") if "job-set" in m)]


def test_a_reclaimed_replica_wakes_the_scaler(site: Site) -> None:
    site.raw.hset(site.keys.environment(ENV), "poke", "1")
    lapse(site, "r1")

    reclaim(site)

    assert site.raw.hget(site.keys.environment(ENV), "poke") == b"0"
